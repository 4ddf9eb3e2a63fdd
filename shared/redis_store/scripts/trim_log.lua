-- ARGV: how many lines to keep, since when
-- Answers how many lines it has forgotten.
local key = prefix .. 'log:lines'
local forgotten = redis.call('XTRIM', key, 'MAXLEN', ARGV[1])
while true do
  local lines = redis.call('XRANGE', key, '-', '+', 'COUNT', 256)
  local old = {}
  for _, line in ipairs(lines) do
    if tonumber(line[2][4]) >= tonumber(ARGV[2]) then
      break
    end
    old[#old + 1] = line[1]
  end
  if #old == 0 then
    return forgotten
  end
  forgotten = forgotten + redis.call('XDEL', key, unpack(old))
end
