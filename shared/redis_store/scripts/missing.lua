-- ARGV: id, how many at most
-- Answers the indices below the next one that are neither marked as counted nor abandoned. Those of
-- a live job are published one after the other as they are opened. The first bit of a byte is its
-- highest.
local job = redis.call('HMGET', prefix .. 'job:' .. ARGV[1], 'kind', 'next_index', 'units')
local next_index = tonumber((job[1] == 'live' and job[3] or job[2]) or '0')
local most = tonumber(ARGV[2])
local marks = redis.call('GET', prefix .. 'marks:' .. ARGV[1]) or ''
local missing = {}
local index = 0
while index < next_index and #missing < most do
  local byte = string.byte(marks, math.floor(index / 8) + 1) or 0
  if index % 8 == 0 and byte == 255 then
    index = index + 8
  else
    if math.floor(byte / 2 ^ (7 - index % 8)) % 2 == 0
      and redis.call('SISMEMBER', prefix .. 'abandoned:' .. ARGV[1], number(index)) == 0 then
      missing[#missing + 1] = index
    end
    index = index + 1
  end
end
return missing
