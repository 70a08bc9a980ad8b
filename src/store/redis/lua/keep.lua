-- The end of a transaction that begins with the pushes of a chunk: records them, or takes all of them back.
-- Nobody sees the queues in between. What is not plainly in order is taken back and left to commit.lua.
-- KEYS  1 leader  2 last  3 count  4 entries  5 paused  6.. queues, each pushed to once
-- ARGV  1 holder (instance/term)   2 number of items   3 number of fire times, 1 when all have the same
--       then per queue: messages pushed, and a text that only the last of them contains
--       then each entry with its record, then the fire times in µs
-- Returns the counts after it as one text, or nothing when the pushes were taken back.
-- Times are compared as decimal text: a Lua number would round them.
local queues, items, times = #KEYS - 5, tonumber(ARGV[2]), tonumber(ARGV[3])
local pairs_at = 3 + 2 * queues
local times_at = pairs_at + 2 * items

local function was_pushed(queue)
  local head = redis.pcall('LINDEX', KEYS[5 + queue], 0)
  return type(head) == 'string' and string.find(head, ARGV[3 + 2 * queue], 1, true)
end

local function record()
  for queue = 1, queues do
    if not was_pushed(queue) then return end
  end
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
  local kind = redis.call('TYPE', KEYS[4]).ok
  if kind ~= 'hash' and kind ~= 'none' then return end
  local entries = {}
  for i = 1, items do entries[i] = ARGV[pairs_at + 2 * i - 1] end
  if redis.call('EXISTS', KEYS[5]) == 1 then
    if redis.call('HEXISTS', KEYS[5], '*') == 1 then return end
    for _, paused in ipairs(redis.call('HMGET', KEYS[5], unpack(entries))) do
      if paused then return end
    end
  end
  local last = redis.call('HMGET', KEYS[2], unpack(entries))
  local counts = redis.call('HMGET', KEYS[3], unpack(entries))
  -- Counts mostly repeat, and are slow to read and to write.
  local following = {[false] = '1'}
  -- A hash of few and short fields is a list, and searched from its beginning for each field: for a whole
  -- chunk that takes milliseconds. One long field makes it a table for good.
  local new_last, new_count, two = {}, {}, 1
  local long = not last[1] and string.rep('-', 512)
  if long then new_last, new_count, two = {long, ''}, {long, ''}, 3 end
  local time = ARGV[times_at + 1]
  for i = 1, items do
    if times > 1 then time = ARGV[times_at + i] end
    local stored, count = last[i], counts[i]
    if stored and (#stored ~= #time or stored >= time) then return end
    local next = following[count]
    if not next then
      if #count > 15 or not string.find(count, '^%d+$') then return end
      next = string.format('%.0f', tonumber(count) + 1)
      following[count] = next
    end
    local entry = entries[i]
    counts[i] = next
    new_last[two], new_last[two + 1] = entry, time
    new_count[two], new_count[two + 1] = entry, next
    two = two + 2
  end
  -- What decides comes last: when one is refused, nothing counts as fired and the pushes go.
  redis.call('HSET', KEYS[4], unpack(ARGV, pairs_at + 1, times_at))
  redis.call('HSET', KEYS[3], unpack(new_count))
  redis.call('HSET', KEYS[2], unpack(new_last))
  if long then
    redis.pcall('HDEL', KEYS[2], long)
    redis.pcall('HDEL', KEYS[3], long)
  end
  return table.concat(counts, ' ')
end

local ok, counts = pcall(record)
if ok and counts then return counts end
for queue = 1, queues do
  if was_pushed(queue) then redis.call('LTRIM', KEYS[5 + queue], ARGV[2 + 2 * queue], -1) end
end
return false
