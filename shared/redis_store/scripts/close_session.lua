-- ARGV: key
-- Answers document and when last seen; nothing when there is none.
local doc = redis.call('HGET', prefix .. 'sessions', ARGV[1])
if not doc then
  return {}
end
local seen = redis.call('HGET', prefix .. 'sessions:seen', ARGV[1])
for _, name in ipairs({'sessions', 'sessions:opened', 'sessions:seen'}) do
  redis.call('HDEL', prefix .. name, ARGV[1])
end
return {doc, seen}
