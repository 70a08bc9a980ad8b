-- Marks entries as paused again, after the store forgot it.
-- KEYS  1 leader   2 paused
-- ARGV  1 holder (instance/term), then per mark: entry, or '*'; the mark
-- Returns -1 when the caller does not hold the lease: nothing was written; else 0.
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
for at = 2, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1]) end
return 0
