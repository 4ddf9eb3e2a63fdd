-- ARGV: closed before
-- Answers how many it has forgotten.
local gaps, closed = prefix .. 'gaps', prefix .. 'gaps:closed'
local forgotten = 0
for _, id in ipairs(redis.call('HKEYS', closed)) do
  if tonumber(redis.call('HGET', closed, id)) < tonumber(ARGV[1]) then
    redis.call('HDEL', gaps, id)
    redis.call('HDEL', closed, id)
    forgotten = forgotten + 1
  end
end
return forgotten
