-- The account's current state: balance, orders, transactions, addresses, the clock; saved to a file
-- if the settings name one. The file is replaced as a whole before the response to the request that
-- changed the state. It is never replaced if it could not be read.

local money = require "proxylua.sandbox.money"

local M = {}

local VERSION = 1
local FORMAT = "proxylua-sandbox"
local LARGEST = 1 << 30

--- A 64-bit number that depends on all arguments. Random values of a sandbox come from its seed
-- through this.
function M.mix(...)
  local x = 0
  for index = 1, select("#", ...) do
    x = x + (select(index, ...)) + 0x9E3779B97F4A7C15
    x = (x ~ (x >> 30)) * 0xBF58476D1CE4E5B9
    x = (x ~ (x >> 27)) * 0x94D049BB133111EB
    x = x ~ (x >> 31)
  end
  return x
end

--- `count` letters of `alphabet` (at most 64 letters, `count` at most 10) chosen by a number.
function M.letters(number, count, alphabet)
  local out = {}
  for index = 1, count do
    local at = number % #alphabet + 1
    out[index] = alphabet:sub(at, at)
    number = (number >> 1) // #alphabet
  end
  return table.concat(out)
end

--- A new, empty account.
function M.new(seed)
  return {
    seed = seed, serial = 0, proxies = 0, offset = 0.0, balance = 0, email = "you@sandbox.example",
    orders = {}, transactions = {}, addresses = {},
  }
end

local function index(world)
  world.by_id = {}
  for _, order in ipairs(world.data.orders) do world.by_id[order.id] = order end
end

--- Makes an account the current one.
function M.use(world, data)
  world.data = data
  index(world)
end

--- Seconds since 1970, plus those by which the clock was advanced.
function M.now(world)
  return world.host.now() + world.data.offset
end

--- A time in the API's format.
function M.date(seconds)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(seconds))
end

--- A new id such as "ord_k3j9x2m4qa".
function M.id(world, prefix)
  local data = world.data
  data.serial = data.serial + 1
  return prefix .. M.letters(M.mix(data.seed, data.serial), 10,
    "0123456789abcdefghijklmnopqrstuvwxyz")
end

--- Changes the balance and adds the transaction for it.
-- @param amount units, positive; `kind` decides the direction
-- @param days for an extension: its length
function M.move(world, kind, amount, order_id, days)
  local data = world.data
  data.balance = data.balance + (kind == "charge" and -amount or amount)
  data.transactions[#data.transactions + 1] = {
    id = M.id(world, "txn_"), type = kind, amount = amount, order_id = order_id, days = days,
    created = M.now(world),
  }
  world.dirty = true
end

-- Fields that are saved, with the Lua type of each ("money" is an integer in memory and a decimal
-- text in the file).
local fields = {
  account = {
    seed = "hex", serial = "integer", proxies = "integer", offset = "number", balance = "money",
      email = "string",
  },
  orders = {
    id = "string", type = "string", quantity = "integer", period = "integer", price = "money",
      charged = "money",
    created = "number", expires = "number", first = "integer", extensions = "integer",
    country = "string?", cancelled = "boolean?", key = "string?",
  },
  transactions = {
    id = "string", type = "string", amount = "money", created = "number", order_id = "string?",
      days = "integer?",
  },
  addresses = { currency = "string", network = "string", address = "string", created = "number" },
}

local write = {
  money = money.format,
  hex = function(value) return ("%016x"):format(value) end,
}

local read = {
  money = function(value) return type(value) == "string" and money.parse(value) end,
  hex = function(value)
    if type(value) ~= "string" or not value:find("^%x+$") or #value ~= 16 then return nil end
    return tonumber(value:sub(1, 8), 16) << 32 | tonumber(value:sub(9), 16)
  end,
  integer = function(value) return math.type(value) and math.tointeger(value) end,
  number = function(value) return tonumber(value) and tonumber(value) + 0.0 end,
  string = function(value) return type(value) == "string" and value end,
  boolean = function(value) return value == true or nil end,
}

local function pack(record, types)
  local out = {}
  for name, kind in pairs(types) do
    local value = record[name]
    local convert = write[kind]
    if value ~= nil then out[name] = convert and convert(value) or value end
  end
  return out
end

local function unpack_record(record, types)
  local out = {}
  if type(record) ~= "table" then error("a record is missing", 0) end
  for name, kind in pairs(types) do
    local base, optional = kind:match("^(%a+)(%??)$")
    local value = record[name]
    out[name] = value ~= nil and read[base](value) or nil
    if out[name] == nil and (optional == "" or value ~= nil) then
      error("'" .. name .. "' is missing or wrong", 0)
    end
  end
  return out
end

local function map(list, convert, types)
  local out = {}
  if type(list) ~= "table" then error("a list is missing", 0) end
  for at, record in ipairs(list) do out[at] = convert(record, types) end
  return out
end

local lists = { "orders", "transactions", "addresses" }

local function encode(world)
  local out = pack(world.data, fields.account)
  out.format, out.version = FORMAT, VERSION
  for _, name in ipairs(lists) do
    out[name] = world.host.json.array(map(world.data[name], pack, fields[name]))
  end
  return world.host.json.encode(out)
end

local function decode(world, text)
  local value = world.host.json.decode(text)
  if type(value) ~= "table" or value.format ~= FORMAT then
    error("not the state file of a sandbox", 0)
  end
  if type(value.version) ~= "number" or value.version > VERSION then return nil end
  local data = unpack_record(value, fields.account)
  for _, name in ipairs(lists) do data[name] = map(value[name], unpack_record, fields[name]) end
  return data
end

local function refuse(...)
  error({ kind = "store", message = (...):format(select(2, ...)) }, 0)
end

--- Reads the state file.
-- @return the account, or nil when there is no such file yet
-- @raise kind store when the file cannot be used
function M.load(world, path)
  local file, why, code = io.open(path, "rb")
  if not file then
    if code == 2 then return nil end
    refuse("cannot read the sandbox's state: %s", why)
  end
  local size, failure = file:seek("end")
  file:seek("set")
  local text = size and size <= LARGEST and file:read(size)
  file:close()
  if not text then
    refuse("cannot read the sandbox's state %s: %s", path, failure or "the file is too large")
  end
  local ok, data = pcall(decode, world, text)
  if not ok then
    refuse("the sandbox's state %s is damaged (%s) and was not changed; move it away or name "
      .. "another file",
      path, type(data) == "table" and data.message or data)
  end
  if not data then
    refuse("the sandbox's state %s is from a newer version and was not changed; use that version "
      .. "or another file",
      path)
  end
  return data
end

--- Writes the state file if the state changed since the last call.
-- @raise when it cannot be written; the change stays in memory and is written with the next one
function M.save(world)
  if world.dirty and world.path then world.host.write_file(world.path, encode(world)) end
  world.dirty = false
end

return M
