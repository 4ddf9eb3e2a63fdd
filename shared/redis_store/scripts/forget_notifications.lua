-- ARGV: found before, how many at most
-- Forgets notifications of which nothing is due. Answers how many.
local forgotten = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'outbox:found', '-inf', '(' .. ARGV[1])) do
  if forgotten == tonumber(ARGV[2]) then
    break
  end
  if not redis.call('ZSCORE', prefix .. 'outbox:due', id) then
    redis.call('HDEL', prefix .. 'outbox', id)
    redis.call('HDEL', prefix .. 'outbox:steps', id)
    redis.call('ZREM', prefix .. 'outbox:found', id)
    redis.call('ZREM', prefix .. 'outbox:failed', id)
    forgotten = forgotten + 1
  end
end
return forgotten
