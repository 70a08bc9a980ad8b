-- Reserves fire times that are then published elsewhere, at most once. A reservation counts as the
-- publication: nobody publishes that fire time after it but its holder.
-- KEYS  1 leader   2 last   3 count   4 paused   5 reserved
-- ARGV  1 holder (instance/term), then per item: entry, fire time in µs, reservation to overwrite or ''
-- Returns -1 when the caller does not hold the lease, -2 when a state key is of another type,
--         else two elements per item, an outcome and its detail:
--         1 reserved, count   2 already done, count   3 superseded, stored time   4 paused
--         8 another holder's reservation is not marked done, its text: nothing was written
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
for i = 2, 5 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'hash' and kind ~= 'none' then return -2 end
end
local function time(text)
  if not text or #text > 16 then return nil end
  return string.match(text, '^0*(%d+)$')
end
local function count(entry)
  local text = redis.call('HGET', KEYS[3], entry)
  return text and #text <= 15 and string.find(text, '^%d+$') and tonumber(text) or 0
end
local all_paused = redis.call('HEXISTS', KEYS[4], '*') == 1
local reply = {}
for at = 2, #ARGV, 3 do
  local entry, due, seen = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local mine = due .. ' ' .. ARGV[1]
  local held = redis.call('HGET', KEYS[5], entry)
  local last = time(redis.call('HGET', KEYS[2], entry))
  local code, detail
  if held == mine then
    -- Before the pause, as in commit.lua: it counts as published since it was reserved.
    code, detail = 1, count(entry)
  elseif last and (#last > #due or (#last == #due and last >= due)) then
    if last == due then code, detail = 2, count(entry) else code, detail = 3, last end
  elseif all_paused or redis.call('HEXISTS', KEYS[4], entry) == 1 then
    code, detail = 4, 0
  elseif held and held ~= seen and string.sub(held, -#ARGV[1] - 1) ~= ' ' .. ARGV[1] then
    code, detail = 8, string.sub(held, 1, 512)
  else
    code, detail = 1, count(entry) + 1
    redis.call('HSET', KEYS[5], entry, mine)
    redis.call('HSET', KEYS[2], entry, due)
    redis.call('HSET', KEYS[3], entry, string.format('%.0f', detail))
  end
  reply[#reply + 1], reply[#reply + 2] = code, detail
end
return reply
