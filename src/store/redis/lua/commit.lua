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
--         the counts after it, as one text, when every item was fired
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

local arguments, elsewhere, wrote = #ARGV, ARGV[2] ~= ARGV[3], false
-- What the server refuses to everybody is the whole script's error, before anything is written.
local function refuses_all(err)
  if wrote then return false end
  for _, word in ipairs({'OOM', 'READONLY', 'NOREPLICAS', 'MISCONF', 'MASTERDOWN'}) do
    if string.find(err, word, 1, true) then return true end
  end
end

local function push(queue, messages)
  if elsewhere then redis.call('SELECT', ARGV[3]) end
  local answer = redis.pcall('LPUSH', queue, unpack(messages))
  if elsewhere then redis.call('SELECT', ARGV[2]) end
  return type(answer) == 'table' and answer.err or nil
end

-- Texts mostly repeat, and are slow to read and to write.
local times, numbers, texts = {[false] = false}, {[false] = 0}, {}
local function time_of(stored)
  local read = times[stored]
  if read == nil then
    read = time(stored) or false
    times[stored] = read
  end
  return read
end
local function number_of(stored)
  local number = numbers[stored]
  if not number then
    -- What is no number, or too large for one, counts as none.
    number = #stored <= 15 and string.find(stored, '^%d+$') and tonumber(stored) or 0
    numbers[stored] = number
  end
  return number
end
local function text_of(number)
  local text = texts[number]
  if not text then
    text = string.format('%.0f', number)
    texts[number] = text
  end
  return text
end

-- Place in ARGV of each item, its entry, its shape, and the first item of that entry: what is known of an
-- entry is kept under the number of its first item.
local starts, names, forms, firsts, seen = {}, {}, {}, {}, {}
local place, items = 4, 0
while place <= arguments do
  local name, text = ARGV[place], ARGV[place + 2]
  local form = shapes[text] or shape(text)
  items = items + 1
  local first = seen[name]
  if not first then
    first = items
    seen[name] = items
  end
  starts[items], names[items], forms[items], firsts[items] = place, name, form, first
  place = place + 4 + form.n
end

local last, counts = {}, {}
local stored_last = redis.call('HMGET', KEYS[2], unpack(names))
local stored_counts = redis.call('HMGET', KEYS[4], unpack(names))
for i = 1, items do last[i], counts[i] = time_of(stored_last[i]), number_of(stored_counts[i]) end
local paused, all_paused = {}, false
if redis.call('EXISTS', KEYS[6]) == 1 then
  all_paused = redis.call('HEXISTS', KEYS[6], '*') == 1
  paused = redis.call('HMGET', KEYS[6], unpack(names))
end

local reply, held = {}, {}
local from, new_from = {}, {}
local fired, written, new_last, new_count, new_record = 0, {}, {}, {}, {}
local records = 0
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
local function settle(i, err)
  local first = firsts[i]
  if err then
    reply[2 * i - 1], reply[2 * i] = 7, 0
    if not held[first] then
      held[first] = true
      reply[2 * i - 1], reply[2 * i] = 6, string.sub(err, 1, 256)
    end
    return
  end
  local entry, start, count = names[i], starts[i], counts[first] + 1
  local at, record, text = ARGV[start + 1], ARGV[start + 3], text_of(count)
  last[first], counts[first] = at, count
  fired = fired + 1
  local two = 2 * fired
  written[fired] = text
  new_last[two - 1], new_last[two] = entry, at
  new_count[two - 1], new_count[two] = entry, text
  if record ~= '' then
    new_record[records + 1], new_record[records + 2] = entry, record
    records = records + 2
  end
  reply[2 * i - 1], reply[2 * i] = 1, count
end

-- Messages of one queue in a row are one LPUSH: they arrive in the same order, for less work.
local queue, waiting, messages, pending, count = nil, {}, {}, {}, 0
local function push_waiting()
  if count == 0 then return end
  local err = push(queue, messages)
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
  local entry, start, form, first = names[i], starts[i], forms[i], firsts[i]
  local at = ARGV[start + 1]
  -- What an entry's next item meets depends on how its last one went.
  if count > 0 and (pending[first] or form.queue ~= queue) then
    local failure = push_waiting()
    if failure then return failure end
  end
  local stored = last[first]
  if held[first] then
    reply[2 * i - 1], reply[2 * i] = 7, 0
  elseif form.op ~= 'S' and stored and not later(at, stored) then
    -- Before the pause: what was fired stays fired when its chunk is sent again after one.
    -- Greater than this one, but an item of this very chunk: the chunk was sent again.
    if stored == at or in_this_chunk(entry, stored) then
      reply[2 * i - 1], reply[2 * i] = 2, counts[first]
    else
      reply[2 * i - 1], reply[2 * i] = 3, stored
    end
  elseif all_paused or paused[i] then
    skip_to(entry, at)
    reply[2 * i - 1], reply[2 * i] = 4, 0
  elseif form.op == 'S' then
    skip_to(entry, at)
    reply[2 * i - 1], reply[2 * i] = 5, 0
  elseif form.queue then
    queue, pending[first], count = form.queue, true, count + 1
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
-- Mostly: one value is quicker to send and to read than two for each item.
if fired == items then return table.concat(written, ' ') end
return reply
