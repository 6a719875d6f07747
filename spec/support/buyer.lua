-- A client of the crash harness: does what its list of intents says, each under its own key, as
-- often as it is started. What cannot be done now is left for the next run; the last line says how
-- much that is.
--   buyer.lua INTENTS SEED

local px = require "proxylua"

local path, seed = ...
math.randomseed(tonumber(seed))
local file = assert(io.open(path))
local intents = px.json.decode(file:read("a"))
file:close()

local ends = { done = 0, refused = 0 } -- by kind of error too

local function buy(intent)
  local order = px.orders.create{ key = intent.key, type = intent.type, quantity = intent.quantity,
    period = intent.period, country = intent.country }
  for _, extension in ipairs(intent.extensions) do
    px.orders.extend(order.id, { key = extension.key, period = extension.period })
  end
end

local function shuffled(list)
  for at = #list, 2, -1 do
    local other = math.random(at)
    list[at], list[other] = list[other], list[at]
  end
  return list
end

px.map(shuffled(intents), function(intent)
  local ok, err = px.try(function() buy(intent) return true end)
  local kind = ok and "done" or err.kind == "spend_refused" and "refused" or err.kind
  ends[kind] = (ends[kind] or 0) + 1
  if not ok then io.stderr:write(intent.key, ": ", tostring(err), "\n") end
end, { concurrency = math.random(3) })

print(px.json.encode(ends))
