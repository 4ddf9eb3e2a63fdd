-- ARGV: id, index, step and content of the copy ('' for whichever), at, number of counts, their names
-- and numbers, fields of an unknown job
-- The bit at the unit's index makes it count once, however often this is asked.
local id, index, at = ARGV[1], ARGV[2], ARGV[5]
local key = prefix .. 'job:' .. id
if ARGV[3] ~= '' then
  local step, content = sent_copy(id, index)
  if supersedes(step, content, tonumber(ARGV[3]), ARGV[4]) then
    return 0
  end
end
redis.call('HDEL', prefix .. 'sendings:' .. id, index)
if redis.call('SETBIT', prefix .. 'marks:' .. id, index, 1) == 1 then
  return 0
end
local last = 6 + 2 * tonumber(ARGV[6])
create_job(id, at, last + 1, #ARGV)
redis.call('HINCRBY', key, 'counted', 1)
if redis.call('SREM', prefix .. 'abandoned:' .. id, index) == 1 then
  redis.call('HINCRBY', key, 'abandoned', -1)
end
raise(key, 'last_counted', at)
for place = 7, last, 2 do
  redis.call('HINCRBY', key, ARGV[place], ARGV[place + 1])
end
return 1
