-- ARGV: revision, board, then of each notification: id, when found, document, step, when due or '',
-- when failed or ''
-- Answers '' when posted (or posted before), otherwise the revision that is kept.
local key = prefix .. 'outbox:board'
local now = redis.call('HMGET', key, 'revision', 'document')
local current = now[1] or '0'
if current == ARGV[1] and now[2] == ARGV[2] then
  return ''
end
if tonumber(ARGV[1]) ~= tonumber(current) + 1 then
  return current
end
redis.call('HSET', key, 'revision', ARGV[1], 'document', ARGV[2])
for place = 3, #ARGV, 6 do
  local id = ARGV[place]
  if redis.call('HEXISTS', prefix .. 'outbox', id) == 0 then
    redis.call('ZADD', prefix .. 'outbox:found', ARGV[place + 1], id)
    put_notification(id, ARGV[place + 2], ARGV[place + 3], ARGV[place + 4], ARGV[place + 5])
  end
end
return ''
