-- ARGV: the newest place to look at ('+' for the end), how many to look at, how many at most,
-- then what must be so or '' each: level (at least), topic, job, object, record, since, until,
-- words in small letters, the same as JSON writes them, and the topic that it must not be
-- Answers the next place to look at ('' at the beginning of the log), then places and documents.
local function says(doc)
  -- Most lines are sorted out without reading them.
  return ARGV[11] == '' or (string.find(string.lower(doc), ARGV[12], 1, true)
    and string.find(string.lower(cjson.decode(doc).message), ARGV[11], 1, true))
end

local function matches(line)
  for field, given in ipairs({ ARGV[5], ARGV[6], ARGV[7], ARGV[8] }) do
    -- Topic, job, object and record are the values of the fields four to seven.
    if given ~= '' and given ~= line[6 + 2 * field] then
      return false
    end
  end
  if ARGV[13] ~= '' and ARGV[13] == line[8] then
    return false
  end
  return (ARGV[4] == '' or tonumber(line[6]) >= tonumber(ARGV[4]))
    and (ARGV[9] == '' or tonumber(line[4]) >= tonumber(ARGV[9]))
    and (ARGV[10] == '' or tonumber(line[4]) < tonumber(ARGV[10]))
    and says(line[16])
end

local key = prefix .. 'log:lines'
local found = { '' }
local most = 1 + 2 * tonumber(ARGV[3])

-- Takes a line that has been looked at, as the how manieth; whether it is the last of this call.
local function take(looked, place, line)
  if line and matches(line) then
    found[#found + 1] = place
    found[#found + 1] = line[16]
  end
  if #found == most or looked >= tonumber(ARGV[2]) then
    found[1] = number(tonumber(place) - 1)
    return true
  end
end

-- Lines of a record or a job are known by their places, but those that an older version has written.
local index = (ARGV[8] ~= '' and 'log:record:' .. ARGV[8])
  or (ARGV[6] ~= '' and 'log:job:' .. ARGV[6])
local indexed = index and redis.call('GET', prefix .. 'log:indexed')
if indexed and (ARGV[1] == '+' or tonumber(ARGV[1]) >= tonumber(indexed)) then
  local from = ARGV[1] == '+' and '+inf' or ARGV[1]
  local places = redis.call('ZREVRANGEBYSCORE', prefix .. index, from, indexed, 'LIMIT', 0, ARGV[2])
  for looked, place in ipairs(places) do
    local line = redis.call('XRANGE', key, place .. '-0', place .. '-0')[1]
    if take(looked, place, line and line[2]) then
      return found
    end
  end
  found[1] = number(tonumber(indexed) - 1)
  return found
end

-- Whether a block may have a line that matches, as far as its words and its highest level say.
local blocked = tonumber(redis.call('GET', prefix .. 'log:blocked') or '')
local function may_have(block)
  if not blocked or block < blocked then
    return true
  end
  if ARGV[4] ~= '' then
    local highest = redis.call('HGET', prefix .. 'log:levels', block)
    if not highest or tonumber(highest) < tonumber(ARGV[4]) then
      return false
    end
  end
  return ARGV[11] == ''
    or string.find(redis.call('GET', prefix .. 'log:words:' .. block) or '', ARGV[11], 1, true)
end

-- Looking at a block's words is as much work as at so many lines.
local PASSING = 16
local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
if not first then
  return found
end
first = tonumber(string.match(first[1], '^%d+'))
local place = tonumber(ARGV[1] == '+' and redis.call('GET', prefix .. 'log:last') or ARGV[1])
local looked, limit = 0, tonumber(ARGV[2])
while place >= first do
  if looked >= limit then
    found[1] = number(place)
    return found
  end
  local block = log_block(place)
  local begin = block * LOG_BLOCK
  if may_have(block) then
    for _, line in ipairs(redis.call('XREVRANGE', key, number(place), number(begin))) do
      looked = looked + 1
      if take(looked, string.match(line[1], '^%d+'), line[2]) then
        return found
      end
    end
  else
    looked = looked + PASSING
  end
  place = begin - 1
end
return found
