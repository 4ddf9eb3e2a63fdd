-- ARGV: hash, document of the end
if redis.call('HEXISTS', prefix .. 'tokens', ARGV[1]) == 1 then
  redis.call('HSETNX', prefix .. 'tokens:revoked', ARGV[1], ARGV[2])
end
