-- ARGV: now, kept until, unit, note
local trials, ends = prefix .. 'trials', prefix .. 'trials:until'
for _, unit in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', ARGV[1])) do
  redis.call('HDEL', trials, unit)
end
redis.call('ZREMRANGEBYSCORE', ends, '-inf', ARGV[1])
redis.call('HSET', trials, ARGV[3], ARGV[4])
redis.call('ZADD', ends, ARGV[2], ARGV[3])
