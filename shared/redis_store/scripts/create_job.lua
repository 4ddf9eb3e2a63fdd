-- ARGV: id, requested, fields
create_job(ARGV[1], ARGV[2], 3, #ARGV)
