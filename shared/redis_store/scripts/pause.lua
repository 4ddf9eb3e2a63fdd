-- ARGV: id, pause, who holds it, since
-- A person's pause is not replaced; a repeat finds this one, or that it has been lifted.
local key = prefix .. 'job:' .. ARGV[1]
if redis.call('EXISTS', key) == 0 or is_over(ARGV[1]) then
  return 0
end
local before = redis.call('HMGET', key, 'paused', 'paused_by', 'lifted')
if before[1] == ARGV[2] or before[3] == ARGV[4] then
  return 1
end
if before[2] == 'person' then
  return 0
end
lift_pause(key, ARGV[4])
redis.call('HSET', key, 'paused', ARGV[2], 'paused_by', ARGV[3], 'paused_since', ARGV[4])
return 1
