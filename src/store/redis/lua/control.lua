-- Carries out a request of an operator and answers it, once.
-- KEYS  1 leader   2 control stream   3 cursor   4 paused   5 reply   6.. queues and channels
-- ARGV  1 holder (instance/term)   2 id of the request   3 op   4 entry, or '*'   5 mark
--       6 answer   7 answer when all are paused   8 database of the state   9 database of the queues
--       10 verbs and places of the effects, as in commit.lua; then their arguments
--       op   P pause: store the mark   R resume   T trigger: the effects   A only answer
-- Returns -1 when the caller does not hold the lease: nothing was written.
--         0 when it was carried out before   1 when it is now   2 when all are paused: only answered
--         or the error of the queue, and nothing was written
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
for i, kind in ipairs({'stream', 'string', 'hash'}) do
  local found = redis.call('TYPE', KEYS[i + 1]).ok
  if found ~= kind and found ~= 'none' then redis.call('DEL', KEYS[i + 1]) end
end

local function id(text)
  local ms, n = string.match(text or '', '^(%d+)-(%d+)$')
  return tonumber(ms) or 0, tonumber(n) or 0
end
local ms, n = id(ARGV[2])
local done_ms, done_n = id(redis.call('GET', KEYS[3]))
if done_ms > ms or (done_ms == ms and done_n >= n) then
  redis.call('XDEL', KEYS[2], ARGV[2])
  return 0
end

local answer, result = ARGV[6], 1
if ARGV[3] == 'P' then
  redis.call('HSET', KEYS[4], ARGV[4], ARGV[5])
elseif ARGV[3] == 'R' then
  if ARGV[4] ~= '*' and redis.call('HEXISTS', KEYS[4], '*') == 1 then
    answer, result = ARGV[7], 2
  else
    redis.call('HDEL', KEYS[4], ARGV[4])
  end
elseif ARGV[3] == 'T' then
  local elsewhere = ARGV[8] ~= ARGV[9]
  if elsewhere then redis.call('SELECT', ARGV[9]) end
  local argument = 10
  for verb, place in string.gmatch(ARGV[10], '(%a)(%d+)') do
    argument = argument + 1
    local key, reply = KEYS[tonumber(place)], nil
    if verb == 'L' then reply = redis.pcall('LPUSH', key, ARGV[argument])
    elseif verb == 'P' or verb == 'N' then reply = redis.pcall('PUBLISH', key, ARGV[argument])
    elseif verb == 'E' then reply = redis.pcall('PEXPIRE', key, ARGV[argument])
    else reply = {err = ARGV[argument]} end
    -- Errors of what follows the message are ignored, as in commit.lua.
    if type(reply) == 'table' and reply.err and verb ~= 'E' and verb ~= 'N' then
      if elsewhere then redis.call('SELECT', ARGV[8]) end
      return reply.err
    end
  end
  if elsewhere then redis.call('SELECT', ARGV[8]) end
end
redis.call('SET', KEYS[3], ARGV[2])
redis.call('SET', KEYS[5], answer, 'PX', 60000)
redis.call('XDEL', KEYS[2], ARGV[2])
return result
