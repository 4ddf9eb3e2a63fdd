-- Answers documents, times of use and ends.
return {
  redis.call('HGETALL', prefix .. 'tokens'),
  redis.call('HGETALL', prefix .. 'tokens:used'),
  redis.call('HGETALL', prefix .. 'tokens:revoked'),
}
