-- Gives the lease up, if it is still the caller's, and wakes the standbys.
-- KEYS  1 leader   2 wake channel
-- ARGV  1 holder (instance/term)
-- Returns 1 when the lease was given up, else 0.
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', KEYS[2], 'resigned')
return 1
