-- ARGV: version, now, members
-- Removes what is not newer, and releases those that waited for one of the members: they name no
-- parent any more and are due now. Answers how many it released.
for place = 3, #ARGV do
  remove_parked_until(ARGV[place], ARGV[1])
end
local released = 0
for place = 3, #ARGV do
  local waiting = prefix .. 'parked:children:' .. ARGV[place]
  for _, child in ipairs(redis.call('SMEMBERS', waiting)) do
    redis.call('HSET', prefix .. 'parked:' .. child, 'parent', '', 'due', ARGV[2])
    redis.call('ZADD', prefix .. 'parked:due', ARGV[2], child)
    released = released + 1
  end
  redis.call('DEL', waiting)
end
return released
