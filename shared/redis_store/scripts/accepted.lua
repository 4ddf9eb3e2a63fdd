-- ARGV: version, now, since when the same parent must not have released it, the place among the
-- members and the cursor within its children to begin at, members
-- The first of these calls removes what is not newer. Every call releases some of the open ones
-- that waited for one of the members: they name no parent any more and are due now. Answers how
-- many it released, and the place and cursor at which to go on; place 0 where nothing is left.
local LOOK_AT = 1000
local place, cursor = tonumber(ARGV[4]), ARGV[5]
if place == 1 and cursor == '0' then
  for member = 6, #ARGV do
    remove_parked_until(ARGV[member], ARGV[1])
  end
end

-- Whether it did: Parked::release.
local function release(child, parent)
  local key = prefix .. 'parked:' .. child
  local known = redis.call('HMGET', key, 'dismissed', 'released_by', 'released_at', 'due')
  if known[1] ~= '' then
    return false
  end
  if known[2] == parent and tonumber(known[3]) > tonumber(ARGV[3]) then
    if known[4] == '' then
      make_due(child, number(tonumber(known[3]) + tonumber(ARGV[2]) - tonumber(ARGV[3])))
    end
    return false
  end
  redis.call('HSET', key, 'parent', '', 'released_by', parent, 'released_at', ARGV[2])
  redis.call('SREM', prefix .. 'parked:children:' .. parent, child)
  make_due(child, ARGV[2])
  return true
end

local released, looked = 0, 0
while ARGV[5 + place] do
  local parent = ARGV[5 + place]
  local page = redis.call('SSCAN', prefix .. 'parked:children:' .. parent, cursor, 'COUNT', 200)
  for _, child in ipairs(page[2]) do
    looked = looked + 1
    if release(child, parent) then
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
if not ARGV[5 + place] then
  place = 0
end
return { released, place, cursor }
