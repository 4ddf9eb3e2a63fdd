-- Shared by the scripts that follow. Every key begins with the deployment's prefix, whose hash tag
-- keeps them on one node. Numbers above 2^53 never occur; those that Lua has calculated are written
-- with %.0f, because tostring() rounds to fourteen digits.
local prefix = KEYS[1]

local function number(value)
  return string.format('%.0f', value)
end

-- Adds a job unless there is one of that id; ARGV[from..to] are names and values of its fields.
local function create_job(id, requested, from, to)
  local key = prefix .. 'job:' .. id
  if redis.call('EXISTS', key) == 1 then
    return
  end
  redis.call('HSET', key, unpack(ARGV, from, to))
  redis.call('ZADD', prefix .. 'jobs', requested, id)
  redis.call('ZADD', prefix .. 'jobs:open', requested, id)
end

-- A job of which more is expected again.
local function reopen_job(id)
  local requested = redis.call('HGET', prefix .. 'job:' .. id, 'requested')
  redis.call('ZADD', prefix .. 'jobs:open', requested, id)
end

local function remove_parked(member)
  local key = prefix .. 'parked:' .. member
  local known = redis.call('HMGET', key, 'parent', 'kind')
  if not known[2] then
    return
  end
  if known[1] ~= '' then
    redis.call('SREM', prefix .. 'parked:children:' .. known[1], member)
  end
  if redis.call('HINCRBY', prefix .. 'parked:counts', known[2], -1) <= 0 then
    redis.call('HDEL', prefix .. 'parked:counts', known[2])
  end
  redis.call('ZREM', prefix .. 'parked:due', member)
  redis.call('ZREM', prefix .. 'parked:index', member)
  redis.call('DEL', key)
end

-- Removes the entry unless its row is newer than the version.
local function remove_parked_until(member, version)
  local known = redis.call('HGET', prefix .. 'parked:' .. member, 'version')
  if known and tonumber(known) <= tonumber(version) then
    remove_parked(member)
  end
end

local function read_parked(members)
  local entries = {}
  for _, member in ipairs(members) do
    local key = prefix .. 'parked:' .. member
    local entry = redis.call('HMGET', key, 'body', 'since', 'retries', 'due', 'parent')
    if entry[1] then
      entries[#entries + 1] = entry
    end
  end
  return entries
end
