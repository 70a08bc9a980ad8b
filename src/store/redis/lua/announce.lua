-- Writes what an instance says of itself; any instance may.
-- KEYS  1 instances
-- ARGV  1 instance   2 what it says
-- Returns 1 when the key was of another type and was replaced, else 0.
local kind = redis.call('TYPE', KEYS[1]).ok
local replaced = 0
if kind ~= 'hash' and kind ~= 'none' then
  redis.call('DEL', KEYS[1])
  replaced = 1
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return replaced
