-- ARGV: lower and upper bound, how many to look at, how many at most, then what must be so or
-- '' each: kind, parent, job, dismissed ('yes' or 'no')
-- Answers the last one looked at ('' when it was the last of all), and entries.
local members = redis.call('ZRANGEBYLEX', prefix .. 'parked:index', ARGV[1], ARGV[2],
  'LIMIT', 0, ARGV[3])
local entries = {}
for place, member in ipairs(members) do
  local entry = redis.call('HMGET', prefix .. 'parked:' .. member, 'body', 'since', 'retries',
    'due', 'parent', 'dismissed', 'released_by', 'released_at', 'kind', 'job')
  -- Parked by a version that did not know of releases.
  entry[7], entry[8] = entry[7] or '', entry[8] or ''
  local is_dismissed = entry[6] == '' and 'no' or 'yes'
  if (ARGV[5] == '' or ARGV[5] == entry[9]) and (ARGV[6] == '' or ARGV[6] == entry[5])
    and (ARGV[7] == '' or ARGV[7] == entry[10])
    and (ARGV[8] == '' or ARGV[8] == is_dismissed) then
    entries[#entries + 1] = { unpack(entry, 1, 8) }
    if #entries == tonumber(ARGV[4]) then
      return { member, entries }
    end
  end
  if place == tonumber(ARGV[3]) then
    return { member, entries }
  end
end
return { '', entries }
