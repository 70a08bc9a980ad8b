-- Takes the lease when nobody holds it.
-- KEYS  1 leader   2 term   3 birth
-- ARGV  1 instance   2 lease in ms   3 highest term the candidate has seen   4 birth of a new store
-- Returns {won, term, ms until the lease ends, holder, repaired}; won is 1 or 0, repaired names the
-- keys that were of another type.
local repaired = ''
for i = 1, 2 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'string' and kind ~= 'none' then
    redis.call('DEL', KEYS[i])
    repaired = repaired .. KEYS[i] .. ' '
  end
end
local holder = redis.call('GET', KEYS[1])
if holder then
  local left = redis.call('PTTL', KEYS[1])
  local instance, term = string.match(holder, '^([^/]+)/(%d+)$')
  if instance == ARGV[1] then
    -- The reply to an earlier campaign was lost.
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return {1, tonumber(term), tonumber(ARGV[2]), holder, repaired}
  end
  if left >= 0 then
    return {0, tonumber(term) or 0, left, string.sub(holder, 1, 256), repaired}
  end
  -- A lease without an end is not one of ours: it would lock out everybody for good.
  repaired = repaired .. KEYS[1] .. ' '
end
local stored = redis.call('GET', KEYS[2])
if not stored or #stored > 15 or not string.find(stored, '^%d+$') then
  if stored then repaired = repaired .. KEYS[2] .. ' ' end
  -- Neither the store nor the candidate knows of any term: nothing can have been lost. Said here,
  -- because whoever is elected now may be gone before it records anything.
  if not stored and ARGV[3] == '0' then redis.call('SETNX', KEYS[3], ARGV[4]) end
  stored = '0'
end
local term = math.max(tonumber(stored), tonumber(ARGV[3])) + 1
local text = string.format('%.0f', term)
redis.call('SET', KEYS[2], text)
redis.call('SET', KEYS[1], ARGV[1] .. '/' .. text, 'PX', ARGV[2])
return {1, term, tonumber(ARGV[2]), ARGV[1] .. '/' .. text, repaired}
