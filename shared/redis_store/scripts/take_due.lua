-- ARGV: now, how many delays, how many members, the delays after one retry, two, ..., the
-- members that were seen to be due, then of the job: id, requested, fields
-- Answers 0 and does nothing when one of them is not due any more. The job tells a repeat.
local first = 4 + tonumber(ARGV[2])
local job = first + tonumber(ARGV[3])
if redis.call('EXISTS', prefix .. 'job:' .. ARGV[job]) == 1 then
  return 1
end
for place = first, job - 1 do
  local due = redis.call('ZSCORE', prefix .. 'parked:due', ARGV[place])
  if not due or tonumber(due) > tonumber(ARGV[1]) then
    return 0
  end
end
for place = first, job - 1 do
  local member = ARGV[place]
  local key = prefix .. 'parked:' .. member
  local retries = redis.call('HINCRBY', key, 'retries', 1)
  if retries <= tonumber(ARGV[2]) then
    make_due(member, number(tonumber(ARGV[1]) + tonumber(ARGV[3 + retries])))
  else
    redis.call('HSET', key, 'due', '')
    redis.call('ZREM', prefix .. 'parked:due', member)
  end
end
create_job(ARGV[job], ARGV[job + 1], job + 2, #ARGV)
return 1
