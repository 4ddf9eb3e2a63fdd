-- ARGV: the newest place to look at ('+' for the end), how many to look at, how many at most,
-- then what must be so or '' each: level (at least), topic, job, object, record, since, until,
-- words in small letters, and the same as JSON writes them
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
  return (ARGV[4] == '' or tonumber(line[6]) >= tonumber(ARGV[4]))
    and (ARGV[9] == '' or tonumber(line[4]) >= tonumber(ARGV[9]))
    and (ARGV[10] == '' or tonumber(line[4]) < tonumber(ARGV[10]))
    and says(line[16])
end

local lines = redis.call('XREVRANGE', prefix .. 'log:lines', ARGV[1], '-', 'COUNT', ARGV[2])
local found = { '' }
local most = 1 + 2 * tonumber(ARGV[3])
for looked, line in ipairs(lines) do
  local place = string.match(line[1], '^%d+')
  if matches(line[2]) then
    found[#found + 1] = place
    found[#found + 1] = line[2][16]
  end
  if #found == most or looked == tonumber(ARGV[2]) then
    found[1] = number(tonumber(place) - 1)
    break
  end
end
return found
