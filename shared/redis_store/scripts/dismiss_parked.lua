-- ARGV: dismissal, members
-- The entries stay, are not open and never due. Answers how many there are.
local found = 0
for place = 2, #ARGV do
  local key = prefix .. 'parked:' .. ARGV[place]
  local known = redis.call('HMGET', key, 'kind', 'dismissed')
  if known[1] then
    found = found + 1
    if known[2] == '' then
      count_parked(known[1], -1)
    end
    redis.call('HSET', key, 'dismissed', ARGV[1], 'due', '')
    redis.call('ZREM', prefix .. 'parked:due', ARGV[place])
  end
end
return found
