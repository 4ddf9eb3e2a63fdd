-- ARGV, for each entry: member, body, version, since, retries, due ('' for never), kind,
-- parent ('' for none)
local function park(member, body, version, since, retries, due, kind, parent)
  local key = prefix .. 'parked:' .. member
  local before = redis.call('HMGET', key, 'version', 'since', 'retries')
  if before[1] and tonumber(before[1]) > tonumber(version) then
    return
  end
  since, retries = before[2] or since, before[3] or retries
  remove_parked(member)
  redis.call('HSET', key, 'body', body, 'version', version, 'since', since, 'retries', retries,
    'due', due, 'kind', kind, 'parent', parent)
  redis.call('ZADD', prefix .. 'parked:index', 0, member)
  redis.call('HINCRBY', prefix .. 'parked:counts', kind, 1)
  if due ~= '' then
    redis.call('ZADD', prefix .. 'parked:due', due, member)
  end
  if parent ~= '' then
    redis.call('SADD', prefix .. 'parked:children:' .. parent, member)
  end
end

for first = 1, #ARGV, 8 do
  park(unpack(ARGV, first, first + 7))
end
