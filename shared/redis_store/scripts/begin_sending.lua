-- ARGV: id, index, step of the copy, its content, whether to take note (1 or 0)
-- Answers whether this copy may be sent: counted, again, superseded, cancelled or first.
if redis.call('GETBIT', prefix .. 'marks:' .. ARGV[1], ARGV[2]) == 1 then
  return 'counted'
end
local step, content = sent_copy(ARGV[1], ARGV[2])
if step and step == tonumber(ARGV[3]) and content == ARGV[4] then
  return 'again'
end
if supersedes(step, content, tonumber(ARGV[3]), ARGV[4]) then
  return 'superseded'
end
if redis.call('HGET', prefix .. 'job:' .. ARGV[1], 'salesforce') == 'cancelled' then
  return 'cancelled'
end
if ARGV[5] == '1' then
  redis.call('HSET', prefix .. 'sendings:' .. ARGV[1], ARGV[2], ARGV[3] .. ' ' .. ARGV[4])
end
return 'first'
