-- ARGV: lower bound, how many at most
return read_parked(redis.call('ZRANGEBYLEX', prefix .. 'parked:index', ARGV[1], '+',
  'LIMIT', 0, ARGV[2]))
