-- Charges of plugins: within a ceiling of each plugin's own, per_run and per_day, inside of what the user allows anyway. What
-- it has spent is read from the journal, where its purchases lie under keys that begin with its name: it can touch no other's,
-- and nobody else's count as its own.

local config = require "proxylua.config"
local core = require "proxylua.core"
local journal = require "proxylua.journal"

local M = {}

local made = 0 -- keys, for purchases that were given none

local function zero()
  return core.money(0)
end

-- What an entry has cost, or may: nothing only when it is known that nothing was bought.
local function cost(entry)
  if entry.state == "not_placed" then return zero() end
  return entry.price or entry.quote or zero()
end

-- Answers what was spent in this run, and on this day.
local function spent(prefix, keys)
  local run, day, today = zero(), zero(), os.date("!%Y-%m-%d")
  for entry in journal.each() do
    if entry.key:sub(1, #prefix) == prefix then
      if keys[entry.key] then run = run + cost(entry) end
      if entry.day >= today then day = day + cost(entry) end
    end
  end
  return run, day
end

local function least(a, b)
  if not a or (b and b < a) then return b end
  return a
end

-- What is left. A ceiling that says nothing is none to spend under.
local function left_of(ceiling, prefix, keys)
  local run, day = spent(prefix, keys)
  local of_run = ceiling.per_run and core.money(ceiling.per_run) - run
  return least(of_run, ceiling.per_day and core.money(ceiling.per_day) - day) or zero()
end

local function key_of(prefix, key)
  if key ~= nil and type(key) ~= "string" then
    core.error.raise{ kind = "usage", message = "key is a text, not a " .. type(key) }
  end
  if key then return prefix .. key end
  made = made + 1
  return ("%s%x.%d.%d"):format(prefix, math.random(0), made, os.time())
end

-- One after the other: what one spends counts for the next.
local function in_turn(queue, fn, ...)
  local previous = queue.tail
  local task = core.task.spawn(function(...)
    if previous then core.task.gather{ previous } end
    return fn(...)
  end, ...)
  queue.tail = task
  local _ <close> = setmetatable({}, { __close = function() task:cancel() end })
  return task:join()
end

-- Among the processes of this machine too. Who holds it waits for the server, so it is asked for at leisure.
local function lock(name)
  local folder = config.state_folder() .. "/plugin-locks"
  core.system.make_folder(folder)
  while true do
    local held = core.system.lock(folder .. "/" .. name)
    if held then return held end
    core.task.sleep(0.05)
  end
end

local function refuse_ceiling(name, left)
  core.error.raise{
    kind = "spend_refused", charge = "none",
    message = ("the plugin %s has spent what it may: %s is left of its own ceiling"):format(name, tostring(left)),
  }
end

function M.open(name, permissions, refuse)
  local prefix, keys, queue = ("plugin:%s:"):format(name), {}, {}

  local function charge(endpoint, params)
    local copy = {}
    for field, value in pairs(params) do copy[field] = value end
    copy.key = key_of(prefix, params.key)
    keys[copy.key] = true
    local _ <close> = lock(name)
    local left = left_of(permissions.spend, prefix, keys)
    if left <= 0 and not journal.get(copy.key) then refuse_ceiling(name, left) end
    copy.max_price = least(params.max_price and core.money(params.max_price), left > 0 and left or zero())
    return core.door.call(endpoint, copy)
  end

  return function(endpoint, params)
    if type(permissions.spend) ~= "table" then refuse("spend", "buy anything") end
    return in_turn(queue, charge, endpoint, params)
  end
end

return M
