-- ARGV: id, indices
local units = redis.call('HGET', prefix .. 'job:' .. ARGV[1], 'units')
for place = 2, units and #ARGV or 0 do
  if tonumber(ARGV[place]) < tonumber(units) then
    abandon_unit(ARGV[1], ARGV[place])
  end
end
