-- ARGV: 'newest' or 'open', how many at most
-- Answers the fields of each job.
local ids
if ARGV[1] == 'newest' then
  ids = redis.call('ZREVRANGE', prefix .. 'jobs', 0, tonumber(ARGV[2]) - 1)
else
  ids = redis.call('ZRANGE', prefix .. 'jobs:open', 0, -1)
end
local jobs = {}
for place, id in ipairs(ids) do
  jobs[place] = redis.call('HGETALL', prefix .. 'job:' .. id)
end
return jobs
