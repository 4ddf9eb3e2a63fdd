-- ARGV: 'all', or 'open'
-- Answers gaps, and when which of them were closed.
local gaps, closed = prefix .. 'gaps', prefix .. 'gaps:closed'
if ARGV[1] == 'all' then
  return { redis.call('HVALS', gaps), redis.call('HGETALL', closed) }
end
local open = {}
-- That none is open is the rule, and asked often.
if redis.call('HLEN', gaps) > redis.call('HLEN', closed) then
  for _, id in ipairs(redis.call('HKEYS', gaps)) do
    if redis.call('HEXISTS', closed, id) == 0 then
      open[#open + 1] = redis.call('HGET', gaps, id)
    end
  end
end
return { open, {} }
