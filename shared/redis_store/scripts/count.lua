-- ARGV: id, index, at, number of counts, their names and numbers, fields of an unknown job
-- The bit at the unit's index makes it count once, however often this is asked.
local id, index, at = ARGV[1], ARGV[2], ARGV[3]
local key = prefix .. 'job:' .. id
if redis.call('SETBIT', prefix .. 'marks:' .. id, index, 1) == 1 then
  return 0
end
local last = 4 + 2 * tonumber(ARGV[4])
create_job(id, at, last + 1, #ARGV)
redis.call('HINCRBY', key, 'counted', 1)
if redis.call('SREM', prefix .. 'abandoned:' .. id, index) == 1 then
  redis.call('HINCRBY', key, 'abandoned', -1)
end
raise(key, 'last_counted', at)
for place = 5, last, 2 do
  redis.call('HINCRBY', key, ARGV[place], ARGV[place + 1])
end
return 1
