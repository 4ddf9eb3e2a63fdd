-- ARGV: name, holder
local key = prefix .. 'lease:' .. ARGV[1]
if redis.call('GET', key) == ARGV[2] then
  redis.call('DEL', key)
end
