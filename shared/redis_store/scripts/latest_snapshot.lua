local latest = redis.call('HGET', prefix .. 'permission', 'latest')
if not latest then
  return false
end
return redis.call('HGET', prefix .. 'permissions', latest)
