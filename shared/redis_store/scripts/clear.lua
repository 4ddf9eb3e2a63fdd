-- ARGV: version, members
for place = 2, #ARGV do
  remove_parked_until(ARGV[place], ARGV[1])
end
