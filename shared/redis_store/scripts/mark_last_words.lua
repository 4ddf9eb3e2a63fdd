-- ARGV: now, kept until, then of each deal: id, version
local words, ends = prefix .. 'last_words', prefix .. 'last_words:until'
for _, id in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', ARGV[1])) do
  redis.call('HDEL', words, id)
end
redis.call('ZREMRANGEBYSCORE', ends, '-inf', ARGV[1])
for place = 3, #ARGV, 2 do
  local id, version = ARGV[place], ARGV[place + 1]
  local known = redis.call('HGET', words, id)
  if not known or tonumber(known) < tonumber(version) then
    redis.call('HSET', words, id, version)
  end
  local before = redis.call('ZSCORE', ends, id)
  if not before or tonumber(before) < tonumber(ARGV[2]) then
    redis.call('ZADD', ends, ARGV[2], id)
  end
end
