-- Gives up the unit in doubt, unless it has been counted.
local doubt = redis.call('HMGET', prefix .. 'in_doubt', 'job', 'index')
local job, index = doubt[1], doubt[2]
if not job then
  return
end
redis.call('DEL', prefix .. 'in_doubt')
if redis.call('GETBIT', prefix .. 'marks:' .. job, index) == 0
  and redis.call('SADD', prefix .. 'abandoned:' .. job, index) == 1 then
  redis.call('HINCRBY', prefix .. 'job:' .. job, 'abandoned', 1)
end
