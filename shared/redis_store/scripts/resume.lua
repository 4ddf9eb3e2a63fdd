-- ARGV: id, at, who may have held it
local key = prefix .. 'job:' .. ARGV[1]
local pause = redis.call('HMGET', key, 'paused_by', 'paused_since')
for place = 3, #ARGV do
  if pause[1] == ARGV[place] and tonumber(pause[2]) <= tonumber(ARGV[2]) then
    lift_pause(key, ARGV[2])
    return 1
  end
end
return 0
