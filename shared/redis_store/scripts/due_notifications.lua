-- ARGV: by when, how many at most
-- Answers documents, the longest due first.
local documents = {}
local due = redis.call('ZRANGEBYSCORE', prefix .. 'outbox:due', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for place, id in ipairs(due) do
  documents[place] = redis.call('HGET', prefix .. 'outbox', id)
end
return documents
