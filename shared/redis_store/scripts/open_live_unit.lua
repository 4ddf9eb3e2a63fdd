-- ARGV: id, requested, client, call, fields of a new job
-- The unit is the one in doubt from now on. A repeated call answers what it answered before.
local opened = prefix .. 'opened:' .. ARGV[3]
local before = redis.call('HMGET', opened, 'call', 'index')
if before[1] == ARGV[4] then
  return before[2]
end
create_job(ARGV[1], ARGV[2], 5, #ARGV)
local key = prefix .. 'job:' .. ARGV[1]
local units = redis.call('HINCRBY', key, 'units', 1)
raise(key, 'last_advanced', ARGV[2])
reopen_job(ARGV[1])
local index = number(units - 1)
redis.call('HSET', opened, 'call', ARGV[4], 'index', index)
redis.call('EXPIRE', opened, 3600)
redis.call('HSET', prefix .. 'in_doubt', 'job', ARGV[1], 'index', index)
return index
