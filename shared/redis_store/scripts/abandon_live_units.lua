for _, id in ipairs(redis.call('ZRANGE', prefix .. 'jobs:open', 0, -1)) do
  local key = prefix .. 'job:' .. id
  local job = redis.call('HMGET', key, 'kind', 'units', 'counted', 'abandoned')
  local units, counted, abandoned = tonumber(job[2]), tonumber(job[3]), tonumber(job[4])
  if job[1] == 'live' and units > counted + abandoned then
    redis.call('HSET', key, 'abandoned', number(units - counted), 'abandoned_below', number(units))
  end
end
