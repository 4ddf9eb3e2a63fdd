-- ARGV: how many retries have another one after them, then for each entry: member, body, version, since, retries, due ('' for never), kind,
-- parent ('' for none), job ('' for none), dismissal ('' for none)
local function park(member, body, version, since, retries, due, kind, parent, job, dismissed)
  local key = prefix .. 'parked:' .. member
  local before = redis.call('HMGET', key, 'version', 'since', 'retries', 'dismissed', 'due',
    'released_by', 'released_at')
  if before[1] and tonumber(before[1]) > tonumber(version) then
    return
  end
  since, retries = before[2] or since, before[3] or retries
  if before[1] == version and before[4] ~= '' then
    dismissed, due = before[4], ''
  end
  if due ~= '' and before[5] and before[5] ~= '' then
    due = before[5]
  elseif tonumber(retries) > tonumber(ARGV[1]) then
    due = ''
  end
  remove_parked(member)
  redis.call('HSET', key, 'body', body, 'version', version, 'since', since, 'retries', retries,
    'due', '', 'kind', kind, 'parent', parent, 'job', job, 'dismissed', dismissed,
    'released_by', before[6] or '', 'released_at', before[7] or '')
  redis.call('ZADD', prefix .. 'parked:index', 0, member)
  if dismissed == '' then
    count_parked(kind, 1)
  end
  if due ~= '' then
    make_due(member, due)
  end
  if parent ~= '' then
    redis.call('SADD', prefix .. 'parked:children:' .. parent, member)
  end
end

for first = 2, #ARGV, 10 do
  park(unpack(ARGV, first, first + 9))
end
