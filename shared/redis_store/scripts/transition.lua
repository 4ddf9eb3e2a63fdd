-- ARGV: id, status, at, error ('' for none), the statuses from which it may go there
return move_job(ARGV[1], ARGV[2], ARGV[3], ARGV[4], 5)
