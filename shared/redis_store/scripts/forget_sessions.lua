-- ARGV: opened before, seen before
-- Answers how many have ended.
local ended = 0
local opened = redis.call('HGETALL', prefix .. 'sessions:opened')
for place = 1, #opened, 2 do
  local key = opened[place]
  local seen = redis.call('HGET', prefix .. 'sessions:seen', key)
  if tonumber(opened[place + 1]) < tonumber(ARGV[1]) or tonumber(seen) < tonumber(ARGV[2]) then
    for _, name in ipairs({'sessions', 'sessions:opened', 'sessions:seen'}) do
      redis.call('HDEL', prefix .. name, key)
    end
    ended = ended + 1
  end
end
return ended
