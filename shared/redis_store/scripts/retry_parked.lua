-- ARGV: now, members
-- Opens the entries and makes them due. Answers how many there are.
local found = 0
for place = 2, #ARGV do
  local key = prefix .. 'parked:' .. ARGV[place]
  local known = redis.call('HMGET', key, 'kind', 'dismissed')
  if known[1] then
    found = found + 1
    if known[2] ~= '' then
      redis.call('HSET', key, 'dismissed', '')
      count_parked(known[1], 1)
    end
    make_due(ARGV[place], ARGV[1])
  end
end
return found
