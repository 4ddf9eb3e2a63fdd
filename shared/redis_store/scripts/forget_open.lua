-- ARGV: id, units, salesforce; as they were when the job was found to be over
-- Does nothing when the job has moved on meanwhile.
local now = redis.call('HMGET', prefix .. 'job:' .. ARGV[1], 'units', 'salesforce')
if now[1] == ARGV[2] and now[2] == ARGV[3] then
  redis.call('ZREM', prefix .. 'jobs:open', ARGV[1])
end
