-- ARGV: the last revision, its rule revision, its document, 1 when a person saved any of them, then
-- for each revision its number and its document
-- Answers '' when restored (or restored before), otherwise the revision in force.
local key = prefix .. 'settings'
local history = prefix .. 'settings:history'
local now = redis.call('HMGET', key, 'revision', 'document', 'by_person')
if now[1] == ARGV[1] and now[2] == ARGV[3] then
  return ''
end
if now[3] == '1' then
  return now[1]
end
redis.call('DEL', key, history)
redis.call('HSET', key, 'revision', ARGV[1], 'rule_revision', ARGV[2], 'document', ARGV[3],
  'by_person', ARGV[4])
for place = 5, #ARGV, 2 do
  redis.call('HSET', history, ARGV[place], ARGV[place + 1])
end
return ''
