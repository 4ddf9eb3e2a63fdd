-- ARGV: now, how many at most, client, call, delays after one retry, two, ...
-- A repeated call answers what it answered before.
local taken = prefix .. 'taken:' .. ARGV[3]
local members
if redis.call('LINDEX', taken, 0) == ARGV[4] then
  members = redis.call('LRANGE', taken, 1, -1)
  return read_parked(members)
end
members = redis.call('ZRANGEBYSCORE', prefix .. 'parked:due', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
redis.call('DEL', taken)
redis.call('RPUSH', taken, ARGV[4])
for _, member in ipairs(members) do
  redis.call('RPUSH', taken, member)
  local key = prefix .. 'parked:' .. member
  local delay = ARGV[4 + redis.call('HINCRBY', key, 'retries', 1)]
  if delay then
    local due = number(tonumber(ARGV[1]) + tonumber(delay))
    redis.call('HSET', key, 'due', due)
    redis.call('ZADD', prefix .. 'parked:due', due, member)
  else
    redis.call('HSET', key, 'due', '')
    redis.call('ZREM', prefix .. 'parked:due', member)
  end
end
redis.call('EXPIRE', taken, 3600)
return read_parked(members)
