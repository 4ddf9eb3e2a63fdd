-- Gives up the unit in doubt, unless it has been counted.
local doubt = redis.call('HMGET', prefix .. 'in_doubt', 'job', 'index')
if doubt[1] then
  redis.call('DEL', prefix .. 'in_doubt')
  abandon_unit(doubt[1], doubt[2])
end
