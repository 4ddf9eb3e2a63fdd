-- ARGV: key, opened, seen, document
redis.call('HSET', prefix .. 'sessions', ARGV[1], ARGV[4])
redis.call('HSET', prefix .. 'sessions:opened', ARGV[1], ARGV[2])
redis.call('HSET', prefix .. 'sessions:seen', ARGV[1], ARGV[3])
