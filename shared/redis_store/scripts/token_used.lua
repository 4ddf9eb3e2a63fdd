-- ARGV: hash, when
if redis.call('HEXISTS', prefix .. 'tokens', ARGV[1]) == 1 then
  raise(prefix .. 'tokens:used', ARGV[1], ARGV[2])
end
