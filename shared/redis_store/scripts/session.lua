-- ARGV: key
-- Answers document and when last seen; nothing when there is none.
local doc = redis.call('HGET', prefix .. 'sessions', ARGV[1])
if not doc then
  return {}
end
return {doc, redis.call('HGET', prefix .. 'sessions:seen', ARGV[1])}
