return { redis.call('HVALS', prefix .. 'gaps'), redis.call('HGETALL', prefix .. 'gaps:closed') }
