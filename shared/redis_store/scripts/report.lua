-- ARGV: worker, process, now, before when a process of that worker is gone, report
local process = ARGV[1] .. ' ' .. ARGV[2]
redis.call('HSET', prefix .. 'reports', process, ARGV[5])
redis.call('ZADD', prefix .. 'reports:at:' .. ARGV[1], ARGV[3], process)
local gone = redis.call('ZRANGEBYSCORE', prefix .. 'reports:at:' .. ARGV[1], '-inf', '(' .. ARGV[4])
for _, other in ipairs(gone) do
  redis.call('HDEL', prefix .. 'reports', other)
  redis.call('ZREM', prefix .. 'reports:at:' .. ARGV[1], other)
end
