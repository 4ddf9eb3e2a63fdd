-- ARGV: id, document, step, when due or '', when failed or ''
-- Answers 1 when it is replaced (or was before), 0 when it is at another step or unknown.
local known = redis.call('HGET', prefix .. 'outbox', ARGV[1])
if not known then
  return 0
end
if known == ARGV[2] then
  return 1
end
if tonumber(redis.call('HGET', prefix .. 'outbox:steps', ARGV[1])) + 1 ~= tonumber(ARGV[3]) then
  return 0
end
put_notification(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5])
return 1
