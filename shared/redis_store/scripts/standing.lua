-- ARGV: id, index, step of the copy
-- Answers whether the job is cancelled, whether the unit is counted, and whether a copy of this step
-- or a higher one is being sent, 1 or 0 each.
local status = redis.call('HGET', prefix .. 'job:' .. ARGV[1], 'salesforce')
local counted = redis.call('GETBIT', prefix .. 'marks:' .. ARGV[1], ARGV[2])
local step = sent_copy(ARGV[1], ARGV[2])
return { status == 'cancelled' and 1 or 0, counted, step and step >= tonumber(ARGV[3]) and 1 or 0 }
