-- ARGV: 'open', or 'newest', how many at most, and of the job before those: requested, id
-- Answers the fields of each job.
local key = prefix .. 'jobs'
local ids
if ARGV[1] == 'open' then
  ids = redis.call('ZRANGE', prefix .. 'jobs:open', 0, -1)
elseif not ARGV[3] then
  ids = redis.call('ZREVRANGE', key, 0, tonumber(ARGV[2]) - 1)
else
  ids = {}
  local most = tonumber(ARGV[2])
  for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', key, ARGV[3], ARGV[3])) do
    if id < ARGV[4] and #ids < most then
      ids[#ids + 1] = id
    end
  end
  local older = redis.call('ZREVRANGEBYSCORE', key, '(' .. ARGV[3], '-inf', 'LIMIT', 0,
    most - #ids)
  for _, id in ipairs(older) do
    ids[#ids + 1] = id
  end
end
local jobs = {}
for place, id in ipairs(ids) do
  jobs[place] = redis.call('HGETALL', prefix .. 'job:' .. id)
end
return jobs
