-- Fires, skips or only records: the one place where a fire time is settled.
-- KEYS  1 leader  2 last  3 from  4 count  5 entries  6 paused  7.. queues and channels
-- ARGV  1 holder (instance/term)   2 database of the state   3 database of the queues
--       then per item: entry, fire time in µs, op, record, n, and n times (verb, index in KEYS, argument)
--       op     F fire   S skip up to the fire time
--       verb   L LPUSH   P PUBLISH   E PEXPIRE
-- Returns -1 when the caller does not hold the lease: nothing was written.
--         -2 when a state key is of another type: nothing was written.
--         else two elements per item, an outcome and its detail:
--         1 fired, count   2 already done, count   3 superseded, stored time   4 paused   5 skipped
--         6 rejected, error   7 held because an earlier item of the entry was rejected
-- Times are compared as decimal text: a Lua number would round them.
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
for i = 2, 6 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'hash' and kind ~= 'none' then return -2 end
end

local function time(text)
  if not text or #text > 16 then return nil end
  return string.match(text, '^0*(%d+)$')
end
local function later(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end

local items, names, times = {}, {}, {}
local at = 4
while at <= #ARGV do
  local item = {entry = ARGV[at], time = ARGV[at + 1], op = ARGV[at + 2], record = ARGV[at + 3],
                first = at + 5, n = tonumber(ARGV[at + 4])}
  at = at + 5 + 3 * item.n
  items[#items + 1] = item
  names[#names + 1] = item.entry
  times[item.entry .. '\n' .. item.time] = true
end

local last, from = {}, {}
local stored_last = redis.call('HMGET', KEYS[2], unpack(names))
for i, name in ipairs(names) do last[name] = time(stored_last[i]) end
local paused, all_paused = {}, false
if redis.call('EXISTS', KEYS[6]) == 1 then
  all_paused = redis.call('HEXISTS', KEYS[6], '*') == 1
  local marks = redis.call('HMGET', KEYS[6], unpack(names))
  for i, name in ipairs(names) do paused[name] = marks[i] and true end
end

local elsewhere = ARGV[2] ~= ARGV[3]
local reply, fired, held, wrote = {}, {}, {}, false
local new_last, new_record, new_from = {}, {}, {}
local function skip_to(item)
  local before = from[item.entry]
  if before == nil then
    before = time(redis.call('HGET', KEYS[3], item.entry)) or false
  end
  if not before or later(item.time, before) then
    from[item.entry] = item.time
    new_from[#new_from + 1] = item.entry
    new_from[#new_from + 1] = item.time
  end
end
local function push(item)
  for k = 0, item.n - 1 do
    local verb, key, argument = ARGV[item.first + 3 * k], KEYS[tonumber(ARGV[item.first + 3 * k + 1])],
      ARGV[item.first + 3 * k + 2]
    local answer
    if verb == 'L' then answer = redis.pcall('LPUSH', key, argument)
    elseif verb == 'P' then answer = redis.pcall('PUBLISH', key, argument)
    else answer = redis.pcall('PEXPIRE', key, argument) end
    if type(answer) == 'table' and answer.err then return answer.err end
    wrote = true
  end
end
-- What the server refuses to everybody is the whole script's error, before anything is written.
local function refuses_all(err)
  for _, word in ipairs({'OOM', 'READONLY', 'NOREPLICAS', 'MISCONF', 'MASTERDOWN'}) do
    if string.find(err, word, 1, true) then return true end
  end
end

for i, item in ipairs(items) do
  local entry, stored = item.entry, last[item.entry]
  local code, detail = 0, 0
  if held[entry] then
    code = 7
  elseif all_paused or paused[entry] then
    skip_to(item)
    code = 4
  elseif item.op == 'S' then
    skip_to(item)
    code = 5
  elseif stored and not later(item.time, stored) then
    -- Greater than this one, but an item of this very chunk: the chunk was sent again.
    if stored == item.time or times[entry .. '\n' .. stored] then code = 2
    else code, detail = 3, stored end
  else
    if elsewhere then redis.call('SELECT', ARGV[3]) end
    local err = push(item)
    if elsewhere then redis.call('SELECT', ARGV[2]) end
    if err then
      if not wrote and refuses_all(err) then return redis.error_reply(err) end
      held[entry] = true
      code, detail = 6, string.sub(err, 1, 256)
    else
      code = 1
      last[entry] = item.time
      fired[#fired + 1] = i
      new_last[#new_last + 1] = entry
      new_last[#new_last + 1] = item.time
      if item.record ~= '' then
        new_record[#new_record + 1] = entry
        new_record[#new_record + 1] = item.record
      end
    end
  end
  reply[2 * i - 1], reply[2 * i] = code, detail
end

if #new_last > 0 then redis.call('HSET', KEYS[2], unpack(new_last)) end
if #new_from > 0 then redis.call('HSET', KEYS[3], unpack(new_from)) end
if #new_record > 0 then redis.call('HSET', KEYS[5], unpack(new_record)) end
for _, i in ipairs(fired) do
  local count = redis.pcall('HINCRBY', KEYS[4], items[i].entry, 1)
  if type(count) == 'table' then
    -- Not a number, or as large as one can be.
    redis.call('HSET', KEYS[4], items[i].entry, 1)
    count = 1
  end
  reply[2 * i] = count
end
for i, item in ipairs(items) do
  if reply[2 * i - 1] == 2 then
    reply[2 * i] = tonumber(redis.call('HGET', KEYS[4], item.entry) or 0) or 0
  end
end
return reply
