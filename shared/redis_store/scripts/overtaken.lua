-- ARGV, of each deal: id, version
-- Answers those with a mark of a higher version; a mark that is not higher is removed.
local overtaken = {}
for place = 1, #ARGV, 2 do
  local id = ARGV[place]
  local mark = redis.call('HGET', prefix .. 'last_words', id)
  if mark and tonumber(mark) > tonumber(ARGV[place + 1]) then
    overtaken[#overtaken + 1] = id
  elseif mark then
    redis.call('HDEL', prefix .. 'last_words', id)
    redis.call('ZREM', prefix .. 'last_words:until', id)
  end
end
return overtaken
