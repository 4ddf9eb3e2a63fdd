-- ARGV: ended before, how many at most
-- Forgets jobs that are over since before that time, with everything about them. Answers how many.
local before = tonumber(ARGV[1])
local pruned = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'jobs', '-inf', '(' .. ARGV[1])) do
  if pruned == tonumber(ARGV[2]) then
    break
  end
  local key = prefix .. 'job:' .. id
  local job = redis.call('HMGET', key, 'sealed', 'ended', 'last_counted')
  local old = is_over(id)
  for place = 1, 3 do
    old = old and (tonumber(job[place] or '') or 0) < before
  end
  if old then
    redis.call('DEL', key, prefix .. 'marks:' .. id, prefix .. 'abandoned:' .. id,
      prefix .. 'pages:' .. id, prefix .. 'plan:' .. id, prefix .. 'sendings:' .. id)
    redis.call('ZREM', prefix .. 'jobs', id)
    redis.call('ZREM', prefix .. 'jobs:open', id)
    pruned = pruned + 1
  end
end
return pruned
