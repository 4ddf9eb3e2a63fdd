-- ARGV: gap id, at
if redis.call('HEXISTS', prefix .. 'gaps', ARGV[1]) == 1 then
  redis.call('HSETNX', prefix .. 'gaps:closed', ARGV[1], ARGV[2])
end
