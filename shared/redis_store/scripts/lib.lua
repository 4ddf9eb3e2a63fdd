-- Shared by the scripts that follow. Every key begins with the deployment's prefix, whose hash tag
-- keeps them on one node. Numbers above 2^53 never occur; those that Lua has calculated are written
-- with %.0f, because tostring() rounds to fourteen digits.
local prefix = KEYS[1]

local function number(value)
  return string.format('%.0f', value)
end

-- Lines of the log whose words and highest level are kept together, so that a search passes over
-- them at once.
local LOG_BLOCK = 256

local function log_block(place)
  return math.floor(tonumber(place) / LOG_BLOCK)
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

-- Whether nothing more comes of a job; that its sums do not close makes no difference to that.
local function is_over(id)
  local job = redis.call('HMGET', prefix .. 'job:' .. id, 'salesforce', 'units', 'counted',
    'abandoned')
  if job[1] == 'failed' then
    return true
  end
  return (job[1] == 'sealed' or job[1] == 'cancelled')
    and tonumber(job[2]) <= tonumber(job[3]) + tonumber(job[4])
end

-- Sets a time unless it is later already.
local function raise(key, field, at)
  local before = redis.call('HGET', key, field)
  if not before or before == '' or tonumber(before) < tonumber(at) then
    redis.call('HSET', key, field, at)
  end
end

-- Ends the pause a job is in, if it is in one. What is left of it tells a repeat of that pause.
local function lift_pause(key, at)
  local pause = redis.call('HMGET', key, 'paused_since', 'paused_for')
  if not pause[1] or pause[1] == '' then
    return
  end
  local length = math.max(tonumber(at) - tonumber(pause[1]), 0)
  redis.call('HSET', key, 'paused', '', 'paused_by', '', 'paused_since', '', 'lifted', pause[1],
    'resumed', at, 'paused_for', number(tonumber(pause[2] or '0') + length))
end

-- Moves a job if it is where ARGV[from..] say. Answers 'now', 'already', 'unknown', or the status
-- from which it cannot go there.
local function move_job(id, to, at, why, from)
  local key = prefix .. 'job:' .. id
  local before = redis.call('HGET', key, 'salesforce')
  if not before then
    return 'unknown'
  end
  if before == to then
    return 'already'
  end
  local allowed = false
  for place = from, #ARGV do
    allowed = allowed or ARGV[place] == before
  end
  if not allowed then
    return before
  end
  redis.call('HSET', key, 'salesforce', to)
  if to == 'failed' or to == 'cancelled' then
    lift_pause(key, at)
    redis.call('HSET', key, 'ended', at)
    if to == 'failed' and why ~= '' then
      redis.call('HSET', key, 'error', why)
    end
  elseif to == 'sealed' then
    redis.call('HSET', key, 'sealed', at)
  else
    redis.call('HSET', key, 'sealed', '')
    if redis.call('HGET', key, 'started') == '' then
      redis.call('HSET', key, 'started', at)
    end
  end
  reopen_job(id)
  return 'now'
end

-- The copy of a unit that is being sent to mOS: its step and content; nothing where none is.
local function sent_copy(id, index)
  local sent = redis.call('HGET', prefix .. 'sendings:' .. id, index)
  if not sent then
    return nil, nil
  end
  local step, content = string.match(sent, '^(%d+) (.*)$')
  return tonumber(step), content
end

-- Whether the copy that is being sent leaves nothing to do for another.
local function supersedes(sent_step, sent_content, step, content)
  return sent_step and (sent_step > step or (sent_step == step and sent_content ~= content))
end

-- Gives up a unit that is not counted; whether it was not given up before.
local function abandon_unit(id, index)
  if redis.call('GETBIT', prefix .. 'marks:' .. id, index) == 1
    or redis.call('SADD', prefix .. 'abandoned:' .. id, index) == 0 then
    return false
  end
  redis.call('HINCRBY', prefix .. 'job:' .. id, 'abandoned', 1)
  return true
end

local function count_parked(kind, by)
  if redis.call('HINCRBY', prefix .. 'parked:counts', kind, by) <= 0 then
    redis.call('HDEL', prefix .. 'parked:counts', kind)
  end
end

local function remove_parked(member)
  local key = prefix .. 'parked:' .. member
  local known = redis.call('HMGET', key, 'parent', 'kind', 'dismissed')
  if not known[2] then
    return
  end
  if known[1] ~= '' then
    redis.call('SREM', prefix .. 'parked:children:' .. known[1], member)
  end
  if not known[3] or known[3] == '' then
    count_parked(known[2], -1)
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

-- Makes an entry due.
local function make_due(member, due)
  redis.call('HSET', prefix .. 'parked:' .. member, 'due', due)
  redis.call('ZADD', prefix .. 'parked:due', due, member)
end

-- Replaces a notification, with when something is due of it and when a way of it failed.
local function put_notification(id, document, step, due, failed)
  redis.call('HSET', prefix .. 'outbox', id, document)
  redis.call('HSET', prefix .. 'outbox:steps', id, step)
  for name, at in pairs({due = due, failed = failed}) do
    if at == '' then
      redis.call('ZREM', prefix .. 'outbox:' .. name, id)
    else
      redis.call('ZADD', prefix .. 'outbox:' .. name, at, id)
    end
  end
end
