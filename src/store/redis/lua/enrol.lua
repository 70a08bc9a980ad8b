-- Records entries before they fire: new, changed, seeded again after a loss, or removed.
-- KEYS  1 leader  2 last  3 from  4 count  5 entries  6 birth
-- ARGV  1 holder (instance/term)   2 birth to write, or ''
--       then per entry: name, its record as it was read, its new record, from, last, count
--       '' leaves a field as it is; a new record of '-' forgets the entry altogether
-- Returns -1 when the caller does not hold the lease, else for each entry that somebody else has
--         written meanwhile its place (from 1) and the record as it is now.
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
local conflicts = {}
local function put(key, name, value)
  if value ~= '' then redis.call('HSET', key, name, value) end
end
for at = 3, #ARGV, 6 do
  local name = ARGV[at]
  local stored = redis.call('HGET', KEYS[5], name) or ''
  if stored ~= ARGV[at + 1] and stored ~= ARGV[at + 2] then
    conflicts[#conflicts + 1] = (at - 3) / 6 + 1
    conflicts[#conflicts + 1] = stored
  elseif ARGV[at + 2] == '-' then
    for k = 2, 5 do redis.call('HDEL', KEYS[k], name) end
  else
    put(KEYS[5], name, ARGV[at + 2])
    put(KEYS[3], name, ARGV[at + 3])
    put(KEYS[2], name, ARGV[at + 4])
    put(KEYS[4], name, ARGV[at + 5])
  end
end
if ARGV[2] ~= '' then redis.call('SET', KEYS[6], ARGV[2]) end
return conflicts
