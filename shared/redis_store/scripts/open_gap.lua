-- ARGV: gap id, gap, job id, requested, fields of the job
if redis.call('HSETNX', prefix .. 'gaps', ARGV[1], ARGV[2]) == 1 then
  create_job(ARGV[3], ARGV[4], 5, #ARGV)
end
