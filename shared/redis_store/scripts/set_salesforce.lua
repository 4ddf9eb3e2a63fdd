-- ARGV: id, status, the moment's field ('' for none), at, error ('' for none)
-- Only forwards, and never from one end to the other.
local rank = { queued = 0, extracting = 1, sealed = 2, failed = 3 }
local key = prefix .. 'job:' .. ARGV[1]
local before = rank[redis.call('HGET', key, 'salesforce')]
if not before or before >= rank.sealed or before >= rank[ARGV[2]] then
  return
end
redis.call('HSET', key, 'salesforce', ARGV[2])
if ARGV[3] ~= '' then
  local moment = redis.call('HGET', key, ARGV[3])
  if not moment or moment == '' then
    redis.call('HSET', key, ARGV[3], ARGV[4])
  end
end
if ARGV[5] ~= '' then
  redis.call('HSET', key, 'error', ARGV[5])
end
