-- The desired state: a list of pools, read as data like the config file and checked completely
-- before anything else happens. Errors name the file, the pool and the field.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"

local M = {}

--- The largest pools file or plan in bytes: enough for thousands of pools and orders.
M.MAX_BYTES = 64 << 20

local DAY = 86400
local USUAL_RENEWAL = 3 * DAY
local MAX_NAME = 64
local MAX_UNITS, MAX_PERIOD = 1000000, 3650

-- Types that are sold by the day.
local timed = { datacenter = true, isp = true, mobile = true }

local function refuse(where, format, ...)
  core.error.raise{ kind = "config", message = where .. ": " .. format:format(...) }
end

local types = {}

function types.name(value)
  if type(value) == "string" and #value <= MAX_NAME and value:find("^%w[%w._-]*$") then
    return value
  end
  return nil, "a name of letters, digits, '.', '_' and '-'"
end

function types.word(value)
  if type(value) == "string" and value:find("^[%w_-]+$") then return value end
  return nil, "a type of proxy, such as \"isp\""
end

function types.country(value)
  if type(value) == "string" and value:find("^%u%u$") then return value end
  return nil, "a country code of two capital letters, such as \"US\""
end

function types.amount(value)
  local ok, amount = pcall(core.money.new, value)
  if ok and amount >= 0 then return amount end
  return nil, "an amount such as 25 or \"9.30\""
end

local function whole(least, most)
  return function(value)
    local number = type(value) == "number" and math.tointeger(value)
    if number and number >= least and number <= most then return number end
    return nil, ("a whole number from %d to %d"):format(least, most)
  end
end

-- Saved plans have seconds. People write a unit: 3 alone would mean three seconds to some of them,
-- and proxies would lapse.
function types.duration(value, is_saved)
  local seconds = is_saved and math.type(value) and value >= 0 and value or duration.read(value)
  if seconds or value == 0 then return seconds or 0 end
  return nil, duration.expected(value, '"')
end

types.quantity, types.count, types.days = whole(0, MAX_UNITS), whole(1, MAX_UNITS),
  whole(1, MAX_PERIOD)

--- Whether a value is a valid name of a pool.
function M.is_name(value)
  return types.name(value) ~= nil
end

-- The fields of a pool, in their order: name, type of value, whether it is required.
local fields = {
  { "name", "name", true }, { "type", "word", true }, { "country", "country" },
    { "quantity", "quantity", true },
  { "period", "days" }, { "renew_before", "duration" }, { "max_unit_price", "amount" },
    { "max_total", "amount" },
  { "batch", "count" },
}

local known = {}
for _, field in ipairs(fields) do known[field[1]] = true end

local function check_names(where, pool)
  for name in pairs(pool) do
    if not known[name] then
      refuse(where, "unknown field %s%s", tostring(name), names.hint(name, known))
    end
  end
end

-- Strings are shown in quotes, so that "3" differs from 3.
local function shown(value)
  return type(value) == "string" and ('"%s"'):format(value) or tostring(value)
end

local function read_fields(where, pool, is_saved)
  local read = {}
  for _, field in ipairs(fields) do
    local name, kind, needed = table.unpack(field)
    local value = pool[name]
    if value == nil and needed then refuse(where, "the field %s is missing", name) end
    if value ~= nil then
      local checked, expected = types[kind](value, is_saved)
      if checked == nil then
        refuse(where, "%s must be %s, got %s", name, expected, shown(value))
      end
      read[name] = checked
    end
  end
  return read
end

-- With renew_before at or above the period, an extended order would be due again at once, for ever.
local function check_renewal(where, pool)
  if not pool.period then
    if timed[pool.type] then
      refuse(where, "the field period is missing: type %s is sold by the day", pool.type)
    end
    if pool.renew_before then
      refuse(where, "renew_before needs the field period (days by which orders are extended)")
    end
    return
  end
  pool.renew_before = pool.renew_before or math.min(USUAL_RENEWAL, pool.period * DAY // 2)
  if pool.renew_before >= pool.period * DAY then
    refuse(where, "renew_before (%s) must be shorter than the period of %d days",
      duration.text(pool.renew_before),
      pool.period)
  end
end

local function read_pool(from, at, pool, is_saved)
  if type(pool) ~= "table" then
    refuse(from, "pool %d must be a table, got a %s", at, type(pool))
  end
  local named = types.name(pool.name)
  local where = ("%s: pool %s"):format(from, named or at)
  check_names(where, pool)
  local read = read_fields(where, pool, is_saved)
  check_renewal(where, read)
  return read
end

--- Checks a list of pools.
-- @param pools list of tables as written by the user
-- @param from string, the origin of the list, for messages
-- @param is_saved whether it was written by a plan, with renew_before in seconds
-- @return list of pools: amounts are money, renew_before is in seconds and absent if nothing is
--   extended
-- @raise config
function M.check(pools, from, is_saved)
  if type(pools) ~= "table" then
    refuse(from, "expected a list of pools, got a %s", type(pools))
  end
  local read, seen = {}, {}
  for key in pairs(pools) do
    if math.type(key) ~= "integer" or key < 1 or key > #pools then
      refuse(from, "expected a list of pools, got a table with the key %s", tostring(key))
    end
  end
  for at, pool in ipairs(pools) do
    read[at] = read_pool(from, at, pool, is_saved)
    local name = read[at].name
    if seen[name] then
      refuse(from, "the name %s is used twice, by pool %d and pool %d", name, seen[name], at)
    end
    seen[name] = at
  end
  return read
end

--- The text of a file, "-" for standard input.
-- @raise config
function M.text(path)
  local text, why = core.system.read_file(path, M.MAX_BYTES)
  return text or refuse(path, "cannot be read: %s", why)
end

--- Reads pools.
-- @param text string, Lua that returns the list
-- @param from name of the file
-- @raise config
function M.parse(text, from)
  return M.check(core.data.load(text, "@" .. from), from)
end

return M
