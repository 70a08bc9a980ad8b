-- Looks, before a message is published elsewhere, whether it may be: reads only.
-- KEYS  1 leader   2 last   3 count   4 paused
-- ARGV  1 holder (instance/term), then per item: entry, fire time in µs
-- Returns -1 when the caller does not hold the lease, -2 when a state key is of another type,
--         else two elements per item: 0 publish   2 already done, count   3 superseded, stored time
--         4 paused
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
for i = 2, 4 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'hash' and kind ~= 'none' then return -2 end
end
local function time(text)
  if not text or #text > 16 then return nil end
  return string.match(text, '^0*(%d+)$')
end
local reply, times = {}, {}
for at = 2, #ARGV, 2 do times[ARGV[at] .. '\n' .. ARGV[at + 1]] = true end
local all_paused = redis.call('HEXISTS', KEYS[4], '*') == 1
for at = 2, #ARGV, 2 do
  local entry, due = ARGV[at], ARGV[at + 1]
  local stored = time(redis.call('HGET', KEYS[2], entry))
  local code, detail = 0, 0
  if stored and (#stored > #due or (#stored == #due and stored >= due)) then
    if stored == due or times[entry .. '\n' .. stored] then
      code, detail = 2, tonumber(redis.call('HGET', KEYS[3], entry) or 0) or 0
    else
      code, detail = 3, stored
    end
  elseif all_paused or redis.call('HEXISTS', KEYS[4], entry) == 1 then
    code = 4
  end
  reply[#reply + 1], reply[#reply + 2] = code, detail
end
return reply
