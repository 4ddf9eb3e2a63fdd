-- ARGV: begun
local polled = redis.call('HGET', prefix .. 'permission', 'last_poll')
if not polled or tonumber(polled) < tonumber(ARGV[1]) then
  redis.call('HSET', prefix .. 'permission', 'last_poll', ARGV[1])
end
