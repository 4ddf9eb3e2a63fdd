-- ARGV: the number below which to begin, or '' for the newest; how many at most
-- Answers documents, newest first.
local place = tonumber(redis.call('HGET', prefix .. 'settings', 'revision') or '0')
if ARGV[1] ~= '' then
  place = math.min(place, tonumber(ARGV[1]) - 1)
end
local documents = {}
while place > 0 and #documents < tonumber(ARGV[2]) do
  local document = redis.call('HGET', prefix .. 'settings:history', number(place))
  if document then
    documents[#documents + 1] = document
  end
  place = place - 1
end
return documents
