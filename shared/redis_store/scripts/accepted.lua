-- ARGV: version, now, members
-- Removes what is not newer, and releases the open ones that waited for one of the members: they
-- name no parent any more and are due now. Answers how many it released.
for place = 3, #ARGV do
  remove_parked_until(ARGV[place], ARGV[1])
end
local released = 0
for place = 3, #ARGV do
  local waiting = prefix .. 'parked:children:' .. ARGV[place]
  for _, child in ipairs(redis.call('SMEMBERS', waiting)) do
    local key = prefix .. 'parked:' .. child
    if redis.call('HGET', key, 'dismissed') == '' then
      redis.call('HSET', key, 'parent', '')
      redis.call('SREM', waiting, child)
      make_due(child, ARGV[2])
      released = released + 1
    end
  end
end
return released
