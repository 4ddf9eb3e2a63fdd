-- ARGV: hour, calls, forget hours before
local key = prefix .. 'calls'
redis.call('HINCRBY', key, ARGV[1], ARGV[2])
for _, hour in ipairs(redis.call('HKEYS', key)) do
  if tonumber(hour) < tonumber(ARGV[3]) then
    redis.call('HDEL', key, hour)
  end
end
