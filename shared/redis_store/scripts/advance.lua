-- ARGV: id, progress, next_index, announced, at, then of a page: first index ('' for none), page;
-- then, for an announcement, how many units the reader knows to be announced
-- What an outdated reader writes changes nothing, nor does an announcement where another reader has
-- announced more, unless it is the very one that is stored. Answers whether it was taken, 1 or 0.
local key = prefix .. 'job:' .. ARGV[1]
local known = redis.call('HMGET', key, 'units', 'next_index', 'announced', 'progress')
if not known[1] or tonumber(known[2]) > tonumber(ARGV[3])
  or tonumber(known[3] or known[2]) > tonumber(ARGV[4]) then
  return 0
end
-- Another reader has written as often, or more often: this one does not know what is stored.
local function writes(doc)
  return doc and doc ~= '' and cjson.decode(doc).writes or 0
end
local stored, mine = writes(known[4]), writes(ARGV[2])
if stored > mine or (stored == mine and mine > 0 and known[4] ~= ARGV[2]) then
  return 0
end
if ARGV[8] and tonumber(known[3] or known[2]) ~= tonumber(ARGV[8]) and known[4] ~= ARGV[2] then
  return 0
end
redis.call('HSET', key, 'progress', ARGV[2], 'next_index', ARGV[3], 'announced', ARGV[4])
raise(key, 'last_advanced', ARGV[5])
if ARGV[6] ~= '' then
  redis.call('HSET', prefix .. 'pages:' .. ARGV[1], ARGV[6], ARGV[7])
end
if tonumber(known[1]) < tonumber(ARGV[4]) then
  redis.call('HSET', key, 'units', ARGV[4])
  reopen_job(ARGV[1])
end
return 1
