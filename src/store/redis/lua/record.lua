-- Records what was published elsewhere, or is skipped.
-- KEYS  1 leader   2 last   3 from   4 count   5 entries   6 paused   7 reserved
-- ARGV  1 holder (instance/term), then per item: entry, fire time in µs, op, record
--       op     P published   S skip up to the fire time
-- Returns -1 when the caller does not hold the lease, -2 when a state key is of another type,
--         else two elements per item, an outcome and its detail:
--         1 recorded, count   2 recorded before, count   3 superseded, stored time   5 skipped
-- A pause changes nothing: what was published was published.
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
for i = 2, 7 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'hash' and kind ~= 'none' then return -2 end
end
local function time(key, entry)
  local text = redis.call('HGET', key, entry)
  if not text or #text > 16 then return nil end
  return string.match(text, '^0*(%d+)$')
end
local function later(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end
local function count(entry)
  local text = redis.call('HGET', KEYS[4], entry)
  return text and #text <= 15 and string.find(text, '^%d+$') and tonumber(text) or 0
end
local function in_this_chunk(entry, due)
  for at = 2, #ARGV, 4 do
    if ARGV[at] == entry and ARGV[at + 1] == due then return true end
  end
end
local reply = {}
for at = 2, #ARGV, 4 do
  local entry, due, record = ARGV[at], ARGV[at + 1], ARGV[at + 3]
  local code, detail
  if ARGV[at + 2] == 'S' then
    local from = time(KEYS[3], entry)
    if not from or later(due, from) then redis.call('HSET', KEYS[3], entry, due) end
    code, detail = 5, 0
  else
    local last = time(KEYS[2], entry)
    local reserved = redis.call('HGET', KEYS[7], entry) == due .. ' ' .. ARGV[1]
    if reserved then
      -- Counted when it was reserved; this marks it done.
      redis.call('HDEL', KEYS[7], entry)
      code, detail = 1, count(entry)
    elseif last and not later(due, last) then
      -- Greater than this one, but an item of this very chunk: the chunk was sent again.
      local again = last == due or in_this_chunk(entry, last)
      if again then code, detail = 2, count(entry) else code, detail = 3, last end
    else
      code, detail = 1, count(entry) + 1
      redis.call('HSET', KEYS[2], entry, due)
      redis.call('HSET', KEYS[4], entry, string.format('%.0f', detail))
    end
    if code == 1 and record ~= '' then redis.call('HSET', KEYS[5], entry, record) end
  end
  reply[#reply + 1], reply[#reply + 2] = code, detail
end
return reply
