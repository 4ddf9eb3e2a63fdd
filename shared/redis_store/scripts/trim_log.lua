-- ARGV: how many lines to keep, since when
-- Answers how many lines it has forgotten.
local key = prefix .. 'log:lines'
local surplus = redis.call('XLEN', key) - tonumber(ARGV[1])
local forgotten = 0
local blocks = {}

-- Words of blocks of which no line is left.
local function forget_blocks()
  local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  local from = first and log_block(string.match(first[1], '^%d+'))
  for block in pairs(blocks) do
    if not from or block < from then
      redis.call('DEL', prefix .. 'log:words:' .. block)
      redis.call('HDEL', prefix .. 'log:levels', block)
    end
  end
end

while true do
  local old = {}
  for _, line in ipairs(redis.call('XRANGE', key, '-', '+', 'COUNT', 256)) do
    if forgotten + #old >= surplus and tonumber(line[2][4]) >= tonumber(ARGV[2]) then
      break
    end
    old[#old + 1] = line[1]
    local place = string.match(line[1], '^%d+')
    blocks[log_block(place)] = true
    for name, value in pairs({ job = line[2][10], record = line[2][14] }) do
      if value ~= '' then
        redis.call('ZREM', prefix .. 'log:' .. name .. ':' .. value, place)
      end
    end
  end
  if #old == 0 then
    forget_blocks()
    return forgotten
  end
  forgotten = forgotten + redis.call('XDEL', key, unpack(old))
end
