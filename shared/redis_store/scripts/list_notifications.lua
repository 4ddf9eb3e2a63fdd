-- ARGV: a time and an id before which to begin, or '' and '' for the newest; how many at most
-- Answers documents, newest first; of the same time the highest id first.
local documents = {}
local ids
if ARGV[1] == '' then
  ids = redis.call('ZREVRANGE', prefix .. 'outbox:found', 0, tonumber(ARGV[3]) - 1)
else
  ids = redis.call('ZREVRANGEBYSCORE', prefix .. 'outbox:found', ARGV[1], ARGV[1])
  local same = {}
  for _, id in ipairs(ids) do
    if id < ARGV[2] then
      same[#same + 1] = id
    end
  end
  ids = same
  if #ids < tonumber(ARGV[3]) then
    local older = redis.call('ZREVRANGEBYSCORE', prefix .. 'outbox:found', '(' .. ARGV[1], '-inf',
      'LIMIT', 0, tonumber(ARGV[3]) - #ids)
    for _, id in ipairs(older) do
      ids[#ids + 1] = id
    end
  end
end
for place = 1, math.min(#ids, tonumber(ARGV[3])) do
  documents[place] = redis.call('HGET', prefix .. 'outbox', ids[place])
end
return documents
