-- ARGV: unit
redis.call('HDEL', prefix .. 'trials', ARGV[1])
redis.call('ZREM', prefix .. 'trials:until', ARGV[1])
