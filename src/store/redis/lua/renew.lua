-- Prolongs the lease of its holder. PEXPIRE works when the server is out of memory, SET does not.
-- KEYS  1 leader
-- ARGV  1 holder (instance/term)   2 lease in ms
-- Returns {held, seconds, microseconds}: held is 1 or 0, the rest is the server's clock.
local time = redis.call('TIME')
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {0, tonumber(time[1]), tonumber(time[2])}
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {1, tonumber(time[1]), tonumber(time[2])}
