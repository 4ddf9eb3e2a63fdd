-- ARGV: id, after, next_index
local key = prefix .. 'job:' .. ARGV[1]
local units = redis.call('HGET', key, 'units')
if not units then
  return
end
redis.call('HSET', key, 'after', ARGV[2], 'next_index', ARGV[3])
if tonumber(units) < tonumber(ARGV[3]) then
  redis.call('HSET', key, 'units', ARGV[3])
  reopen_job(ARGV[1])
end
