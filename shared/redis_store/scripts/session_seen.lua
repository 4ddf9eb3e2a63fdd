-- ARGV: key, when
if redis.call('HEXISTS', prefix .. 'sessions', ARGV[1]) == 1 then
  raise(prefix .. 'sessions:seen', ARGV[1], ARGV[2])
end
