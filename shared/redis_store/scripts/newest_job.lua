-- ARGV: kind
-- Answers the fields of the newest job of that kind, none where there is none. Only the kinds of
-- others are looked at: what a job reads may be long.
local key = prefix .. 'jobs'
local from = 0
while true do
  local ids = redis.call('ZREVRANGE', key, from, from + 999)
  if #ids == 0 then
    return {}
  end
  for _, id in ipairs(ids) do
    if redis.call('HGET', prefix .. 'job:' .. id, 'kind') == ARGV[1] then
      return redis.call('HGETALL', prefix .. 'job:' .. id)
    end
  end
  from = from + #ids
end
