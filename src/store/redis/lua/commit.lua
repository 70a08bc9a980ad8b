-- Fires, skips or only records: the one place where a fire time is settled.
-- KEYS  1 leader  2 last  3 from  4 count  5 entries  6 paused  7.. queues and channels
-- ARGV  1 holder (instance/term)   2 database of the state   3 database of the queues
--       then per item: entry, fire time in µs, op with its effects, record, and an argument per effect
--       op      F fire   S skip up to the fire time
--       effect  verb and index in KEYS, as in FL7E7E8
--       verb    L LPUSH   P PUBLISH   E PEXPIRE   N PUBLISH of an event   X refuse, the argument says why
--               an error of E or N, which come after the message, is nobody's
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
  if string.find(text, '^[1-9]%d*$') then return text end
  return string.match(text, '^0*(%d+)$')
end
local function later(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end

-- Read once each: an op with its effects.
local shapes = {}
local function shape(text)
  local verbs, keys = {}, {}
  for verb, index in string.gmatch(text, '(%a)(%d+)') do
    verbs[#verbs + 1] = verb
    keys[#keys + 1] = KEYS[tonumber(index)]
  end
  local read = {op = string.sub(text, 1, 1), n = #verbs, verbs = verbs, keys = keys,
                queue = #verbs == 1 and verbs[1] == 'L' and keys[1]}
  shapes[text] = read
  return read
end

-- Place in ARGV of each item, its entry and its shape.
local starts, names, forms = {}, {}, {}
local at, items = 4, 0
while at <= #ARGV do
  local form = shapes[ARGV[at + 2]] or shape(ARGV[at + 2])
  items = items + 1
  starts[items], names[items], forms[items] = at, ARGV[at], form
  at = at + 4 + form.n
end

local last, counts = {}, {}
local stored_last = redis.call('HMGET', KEYS[2], unpack(names))
local stored_counts = redis.call('HMGET', KEYS[4], unpack(names))
for i = 1, items do
  local name, count = names[i], stored_counts[i]
  last[name] = time(stored_last[i])
  -- What is no number, or too large for one, counts as none.
  counts[name] = count and #count <= 15 and string.find(count, '^%d+$') and tonumber(count) or 0
end
local paused, all_paused = {}, false
if redis.call('EXISTS', KEYS[6]) == 1 then
  all_paused = redis.call('HEXISTS', KEYS[6], '*') == 1
  local marks = redis.call('HMGET', KEYS[6], unpack(names))
  for i, name in ipairs(names) do paused[name] = marks[i] and true end
end

local elsewhere = ARGV[2] ~= ARGV[3]
local reply, held, wrote = {}, {}, false
local from, new_from = {}, {}
local fired, new_last, new_count, new_record, records = 0, {}, {}, {}, 0
local function skip_to(entry, at)
  local before = from[entry]
  if before == nil then
    before = time(redis.call('HGET', KEYS[3], entry)) or false
  end
  if not before or later(at, before) then
    from[entry] = at
    new_from[#new_from + 1] = entry
    new_from[#new_from + 1] = at
  end
end
local function in_this_chunk(entry, at)
  for i = 1, items do
    if names[i] == entry and ARGV[starts[i] + 1] == at then return true end
  end
end
-- What the server refuses to everybody is the whole script's error, before anything is written.
local function refuses_all(err)
  if wrote then return false end
  for _, word in ipairs({'OOM', 'READONLY', 'NOREPLICAS', 'MISCONF', 'MASTERDOWN'}) do
    if string.find(err, word, 1, true) then return true end
  end
end

-- Counts mostly repeat, and are slow to write.
local digits = {}
local function text(count)
  local written = digits[count]
  if not written then
    written = string.format('%.0f', count)
    digits[count] = written
  end
  return written
end
local function settle(i, err)
  local entry, code, detail = names[i], 1, nil
  if not err then
    local start = starts[i]
    detail = counts[entry] + 1
    counts[entry] = detail
    local at, record = ARGV[start + 1], ARGV[start + 3]
    last[entry] = at
    new_last[fired + 1], new_last[fired + 2] = entry, at
    new_count[fired + 1], new_count[fired + 2] = entry, text(detail)
    fired = fired + 2
    if record ~= '' then
      new_record[records + 1], new_record[records + 2] = entry, record
      records = records + 2
    end
  elseif held[entry] then
    code, detail = 7, 0
  else
    held[entry] = true
    code, detail = 6, string.sub(err, 1, 256)
  end
  reply[2 * i - 1], reply[2 * i] = code, detail
end

-- Messages of one queue in a row are one LPUSH: they arrive in the same order, for less work.
local queue, waiting, messages, pending, count = nil, {}, {}, {}, 0
local function push_waiting()
  if count == 0 then return end
  if elsewhere then redis.call('SELECT', ARGV[3]) end
  local answer = redis.pcall('LPUSH', queue, unpack(messages))
  if elsewhere then redis.call('SELECT', ARGV[2]) end
  local err = type(answer) == 'table' and answer.err or nil
  if err and refuses_all(err) then return redis.error_reply(err) end
  wrote = wrote or not err
  for k = 1, count do settle(waiting[k], err) end
  waiting, messages, pending, count = {}, {}, {}, 0
end

-- One message with several effects: whether all its queues take it is seen before the first push.
local function deliver(form, start)
  if form.n > 1 then
    for k = 1, form.n do
      if form.verbs[k] == 'L' then
        local kind = redis.call('TYPE', form.keys[k]).ok
        if kind ~= 'list' and kind ~= 'none' then
          return 'WRONGTYPE the queue ' .. form.keys[k] .. ' is a ' .. kind
        end
      end
    end
  end
  for k = 1, form.n do
    local verb, key, argument = form.verbs[k], form.keys[k], ARGV[start + 3 + k]
    if verb == 'X' then return argument end
    local answer
    if verb == 'L' then answer = redis.pcall('LPUSH', key, argument)
    elseif verb == 'E' then redis.pcall('PEXPIRE', key, argument)
    else answer = redis.pcall('PUBLISH', key, argument) end
    if verb ~= 'N' and type(answer) == 'table' and answer.err then return answer.err end
    wrote = true
  end
end

for i = 1, items do
  local entry, start, form = names[i], starts[i], forms[i]
  local at = ARGV[start + 1]
  -- What an entry's next item meets depends on how its last one went.
  if count > 0 and (pending[entry] or form.queue ~= queue) then
    local failure = push_waiting()
    if failure then return failure end
  end
  local stored = last[entry]
  if held[entry] then
    reply[2 * i - 1], reply[2 * i] = 7, 0
  elseif form.op ~= 'S' and stored and not later(at, stored) then
    -- Before the pause: what was fired stays fired when its chunk is sent again after one.
    -- Greater than this one, but an item of this very chunk: the chunk was sent again.
    if stored == at or in_this_chunk(entry, stored) then
      reply[2 * i - 1], reply[2 * i] = 2, counts[entry]
    else
      reply[2 * i - 1], reply[2 * i] = 3, stored
    end
  elseif all_paused or paused[entry] then
    skip_to(entry, at)
    reply[2 * i - 1], reply[2 * i] = 4, 0
  elseif form.op == 'S' then
    skip_to(entry, at)
    reply[2 * i - 1], reply[2 * i] = 5, 0
  elseif form.queue then
    queue, pending[entry], count = form.queue, true, count + 1
    waiting[count], messages[count] = i, ARGV[start + 4]
  else
    if elsewhere then redis.call('SELECT', ARGV[3]) end
    local err = deliver(form, start)
    if elsewhere then redis.call('SELECT', ARGV[2]) end
    if err and refuses_all(err) then return redis.error_reply(err) end
    settle(i, err)
  end
end
local failure = push_waiting()
if failure then return failure end

if fired > 0 then
  redis.call('HSET', KEYS[2], unpack(new_last))
  redis.call('HSET', KEYS[4], unpack(new_count))
end
if records > 0 then redis.call('HSET', KEYS[5], unpack(new_record)) end
if #new_from > 0 then redis.call('HSET', KEYS[3], unpack(new_from)) end
return reply
