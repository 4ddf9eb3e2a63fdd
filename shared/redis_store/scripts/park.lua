-- ARGV, for each entry: member, body, since, retries, due ('' for never), kind, parent ('' for none)
for first = 1, #ARGV, 7 do
  local member, body, since, retries, due, kind, parent = unpack(ARGV, first, first + 6)
  local key = prefix .. 'parked:' .. member
  local before = redis.call('HMGET', key, 'since', 'retries')
  since, retries = before[1] or since, before[2] or retries
  remove_parked(member)
  redis.call('HSET', key, 'body', body, 'since', since, 'retries', retries, 'due', due,
    'kind', kind, 'parent', parent)
  redis.call('ZADD', prefix .. 'parked:index', 0, member)
  redis.call('HINCRBY', prefix .. 'parked:counts', kind, 1)
  if due ~= '' then
    redis.call('ZADD', prefix .. 'parked:due', due, member)
  end
  if parent ~= '' then
    redis.call('SADD', prefix .. 'parked:children:' .. parent, member)
  end
end
