-- ARGV: id, status, at, plan, the statuses from which it may go there
local moved = move_job(ARGV[1], ARGV[2], ARGV[3], '', 5)
if moved == 'now' or moved == 'already' then
  redis.call('SET', prefix .. 'plan:' .. ARGV[1], ARGV[4])
end
return moved
