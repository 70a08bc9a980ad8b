-- Gives up reservations of other holders, after it was said that their fate is not known.
-- KEYS  1 leader   2 reserved
-- ARGV  1 holder (instance/term), then per reservation: entry, its text
-- Returns -1 when the caller does not hold the lease: nothing was written; else 0.
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
for at = 2, #ARGV, 2 do
  if redis.call('HGET', KEYS[2], ARGV[at]) == ARGV[at + 1] then
    redis.call('HDEL', KEYS[2], ARGV[at])
  end
end
return 0
