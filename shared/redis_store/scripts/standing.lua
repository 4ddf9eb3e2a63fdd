-- ARGV: id, index
-- Answers whether the job is cancelled and whether the unit is counted, 1 or 0 each.
local status = redis.call('HGET', prefix .. 'job:' .. ARGV[1], 'salesforce')
local counted = redis.call('GETBIT', prefix .. 'marks:' .. ARGV[1], ARGV[2])
return { status == 'cancelled' and 1 or 0, counted }
