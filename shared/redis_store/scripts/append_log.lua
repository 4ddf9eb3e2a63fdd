-- ARGV: mark of the call, line, how many lines to keep
-- A repeated call finds its line among the newest and adds none.
local key = prefix .. 'log'
local mark = ARGV[1] .. ' '
for _, line in ipairs(redis.call('LRANGE', key, 0, 63)) do
  if string.sub(line, 1, #mark) == mark then
    return
  end
end
redis.call('LPUSH', key, mark .. ARGV[2])
redis.call('LTRIM', key, 0, tonumber(ARGV[3]) - 1)
