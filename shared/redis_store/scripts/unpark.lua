-- ARGV: members
-- Removes them and answers those that waited for one of them. These stay, so that a repeat answers
-- them again.
for _, member in ipairs(ARGV) do
  remove_parked(member)
end
local waiting = {}
for _, member in ipairs(ARGV) do
  local children = redis.call('SMEMBERS', prefix .. 'parked:children:' .. member)
  table.sort(children)
  for _, child in ipairs(children) do
    waiting[#waiting + 1] = child
  end
end
return read_parked(waiting)
