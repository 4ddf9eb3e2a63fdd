-- ARGV: mark of the call, at, level, topic, job, object, record, document ('' for none each), and
-- the message in small letters
-- A repeated call finds its line among the newest and adds none.
local key = prefix .. 'log:lines'
for _, line in ipairs(redis.call('XREVRANGE', key, '+', '-', 'COUNT', 64)) do
  if line[2][2] == ARGV[1] then
    return
  end
end
local place = number(redis.call('INCR', prefix .. 'log:last'))
-- From this place on, lines are found by their record and their job.
redis.call('SETNX', prefix .. 'log:indexed', place)
for name, value in pairs({ job = ARGV[5], record = ARGV[7] }) do
  if value ~= '' then
    redis.call('ZADD', prefix .. 'log:' .. name .. ':' .. value, place, place)
  end
end
-- The first block of which every line is in its words.
local block = log_block(place)
redis.call('SETNX', prefix .. 'log:blocked', block + 1)
redis.call('APPEND', prefix .. 'log:words:' .. block, ARGV[9] .. '\n')
local highest = redis.call('HGET', prefix .. 'log:levels', block)
if not highest or tonumber(ARGV[3]) > tonumber(highest) then
  redis.call('HSET', prefix .. 'log:levels', block, ARGV[3])
end
redis.call('XADD', key, place .. '-0', 'mark', ARGV[1], 'at', ARGV[2], 'level', ARGV[3],
  'topic', ARGV[4], 'job', ARGV[5], 'object', ARGV[6], 'record', ARGV[7], 'doc', ARGV[8])
