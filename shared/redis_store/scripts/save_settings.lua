-- ARGV: revision, rule revision, document, 1 when a person saves, then of a backfill: id, requested,
-- fields
-- Answers '' when saved (or saved before), otherwise the revision in force.
local key = prefix .. 'settings'
local now = redis.call('HMGET', key, 'revision', 'document')
local current = now[1] or '0'
if current == ARGV[1] and now[2] == ARGV[3] then
  return ''
end
if tonumber(ARGV[1]) ~= tonumber(current) + 1 then
  return current
end
redis.call('HSET', key, 'revision', ARGV[1], 'rule_revision', ARGV[2], 'document', ARGV[3])
if ARGV[4] == '1' then
  redis.call('HSET', key, 'by_person', '1')
end
redis.call('HSET', prefix .. 'settings:history', ARGV[1], ARGV[3])
if #ARGV > 4 then
  create_job(ARGV[5], ARGV[6], 7, #ARGV)
end
return ''
