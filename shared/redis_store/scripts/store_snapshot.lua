-- ARGV: number, snapshot, taken, number no longer kept, then of a backfill: id, requested, fields
-- Answers '' when stored (or stored before), otherwise the newest number.
local key = prefix .. 'permissions'
local current = redis.call('HGET', prefix .. 'permission', 'latest') or '0'
if current == ARGV[1] and redis.call('HGET', key, ARGV[1]) == ARGV[2] then
  return ''
end
if tonumber(ARGV[1]) ~= tonumber(current) + 1 then
  return current
end
redis.call('HSET', key, ARGV[1], ARGV[2])
redis.call('HDEL', key, ARGV[4])
redis.call('HSET', prefix .. 'permission', 'latest', ARGV[1])
local polled = redis.call('HGET', prefix .. 'permission', 'last_poll')
if not polled or tonumber(polled) < tonumber(ARGV[3]) then
  redis.call('HSET', prefix .. 'permission', 'last_poll', ARGV[3])
end
if #ARGV > 4 then
  create_job(ARGV[5], ARGV[6], 7, #ARGV)
end
return ''
