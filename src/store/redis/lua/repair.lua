-- Deletes state keys that are of another type, so that they can be rebuilt.
-- KEYS  1 leader   2.. state keys; ARGV  1 holder (instance/term), then the type of each key from 2 on
-- Returns -1 when the caller does not hold the lease, else the deleted keys.
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
local deleted = {}
for i = 2, #KEYS do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'none' and kind ~= ARGV[i] then
    redis.call('DEL', KEYS[i])
    deleted[#deleted + 1] = KEYS[i]
  end
end
return deleted
