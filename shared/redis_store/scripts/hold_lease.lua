-- ARGV: name, holder, milliseconds
local key = prefix .. 'lease:' .. ARGV[1]
if redis.call('GET', key) == ARGV[2] then
  redis.call('PEXPIRE', key, ARGV[3])
  return 1
end
if redis.call('SET', key, ARGV[2], 'NX', 'PX', ARGV[3]) then
  return 1
end
return 0
