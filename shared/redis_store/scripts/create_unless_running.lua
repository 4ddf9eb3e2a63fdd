-- ARGV: id, requested, kind, fields
-- Answers the fields of the job that is there now.
local running = ARGV[1]
if redis.call('EXISTS', prefix .. 'job:' .. running) == 0 then
  for _, id in ipairs(redis.call('ZRANGE', prefix .. 'jobs:open', 0, -1)) do
    local kind, status = unpack(redis.call('HMGET', prefix .. 'job:' .. id, 'kind', 'salesforce'))
    if running == ARGV[1] and kind == ARGV[3] and status ~= 'cancelled' and not is_over(id) then
      running = id
    end
  end
  if running == ARGV[1] then
    create_job(ARGV[1], ARGV[2], 4, #ARGV)
  end
end
return redis.call('HGETALL', prefix .. 'job:' .. running)
