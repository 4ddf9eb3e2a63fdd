-- ARGV: how far the stored mark runs ahead, how far the clock may be behind
-- Answers 'ok', time, rule revision, snapshot; or 'behind', by how much.
-- `seen` is the last ticket's time and is kept in memory only: written to the append-only file, it
-- would cost every ticket an fsync. `mark` is stored, runs ahead of it, and stands in after a restart.
local now = redis.call('TIME')
local time = tonumber(now[1]) * 1000000 + tonumber(now[2])
local before = redis.call('MGET', prefix .. 'ticket:seen', prefix .. 'ticket:mark')
local mark = tonumber(before[2] or '0')
local seen = tonumber(before[1] or before[2] or '0')
if seen - time > tonumber(ARGV[2]) then
  return { 'behind', number(seen - time) }
end
if time <= seen then
  time = seen + 1
end
if time > mark then
  redis.call('SET', prefix .. 'ticket:mark', number(time + tonumber(ARGV[1])))
end
redis.set_repl(redis.REPL_NONE)
redis.call('SET', prefix .. 'ticket:seen', number(time))
redis.set_repl(redis.REPL_ALL)
return {
  'ok',
  number(time),
  redis.call('HGET', prefix .. 'settings', 'rule_revision') or '0',
  redis.call('HGET', prefix .. 'permission', 'latest') or '0',
}
