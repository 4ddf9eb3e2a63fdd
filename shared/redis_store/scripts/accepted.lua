-- ARGV: version, now, the place among the members and the cursor within its children to begin at,
-- members
-- The first of these calls removes what is not newer. Every call releases some of the open ones
-- that waited for one of the members: they name no parent any more and are due now. Answers how
-- many it released, and the place and cursor at which to go on; place 0 where nothing is left.
local LOOK_AT = 1000
local place, cursor = tonumber(ARGV[3]), ARGV[4]
if place == 1 and cursor == '0' then
  for member = 5, #ARGV do
    remove_parked_until(ARGV[member], ARGV[1])
  end
end
local released, looked = 0, 0
while ARGV[4 + place] do
  local waiting = prefix .. 'parked:children:' .. ARGV[4 + place]
  local page = redis.call('SSCAN', waiting, cursor, 'COUNT', 200)
  for _, child in ipairs(page[2]) do
    looked = looked + 1
    local key = prefix .. 'parked:' .. child
    if redis.call('HGET', key, 'dismissed') == '' then
      redis.call('HSET', key, 'parent', '')
      redis.call('SREM', waiting, child)
      make_due(child, ARGV[2])
      released = released + 1
    end
  end
  cursor = page[1]
  if cursor == '0' then
    place = place + 1
  end
  if looked >= LOOK_AT then
    break
  end
end
if not ARGV[4 + place] then
  place = 0
end
return { released, place, cursor }
