-- ARGV: worker, process, now, before when a process of that worker is gone, after when its clock
-- was wrong, report
local process = ARGV[1] .. ' ' .. ARGV[2]
redis.call('HSET', prefix .. 'reports', process, ARGV[6])
redis.call('ZADD', prefix .. 'reports:at:' .. ARGV[1], ARGV[3], process)
for _, bounds in ipairs({ { '-inf', '(' .. ARGV[4] }, { '(' .. ARGV[5], '+inf' } }) do
  local gone = redis.call('ZRANGEBYSCORE', prefix .. 'reports:at:' .. ARGV[1], unpack(bounds))
  for _, other in ipairs(gone) do
    redis.call('HDEL', prefix .. 'reports', other)
    redis.call('ZREM', prefix .. 'reports:at:' .. ARGV[1], other)
  end
end
