-- All settings of a sandbox, in one table: those at the start and those of the admin interface.
-- Values are strings; `faults` and `keys` are lists of strings.

local responses = require "proxylua.sandbox.responses"
local api = require "proxylua.sandbox.api"
local faults = require "proxylua.sandbox.faults"
local limits = require "proxylua.sandbox.limits"
local money = require "proxylua.sandbox.money"
local proxies = require "proxylua.sandbox.proxies"
local state = require "proxylua.sandbox.state"

local M = {}

local set = {}

local function refuse(...)
  error((...):format(select(2, ...)), 0)
end

-- The difference becomes a transaction, so that the transactions always add up to the balance.
function set.balance(world, text)
  local amount = money.parse(text)
  if not amount or amount < 0 then
    refuse("balance must be an amount such as 1000.00, got '%s'", text)
  end
  local change = amount - world.data.balance
  if change ~= 0 then state.move(world, change > 0 and "deposit" or "charge", math.abs(change)) end
end

function set.email(world, text)
  if not utf8.len(text) then refuse("email must be UTF-8 text") end
  world.data.email, world.dirty = text, true
end

-- active, or a state in which every request is refused with 403.
function set.account(world, text)
  if text ~= "active" and text ~= "banned" and text ~= "unverified" then
    refuse("account must be active, banned or unverified, got '%s'", text)
  end
  world.account = text
end

function set.dialect(world, text)
  if not responses.known(text) then
    refuse("dialect must be envelope, bare, snake or mixed, got '%s'", text)
  end
  world.dialect = text
end

function set.limits(world, text)
  world.limits, world.counted_by = limits.parse(text), {}
end

function set.faults(world, list)
  local read = {}
  for at, text in ipairs(list) do
    read[at] = faults.parse(text)
    if not api.endpoints[read[at].endpoint] then
      refuse("fault '%s': the API does not have this endpoint", text)
    end
  end
  world.faults = read
end

-- The keys of the account; each is limited on its own.
function set.keys(world, list)
  local known = {}
  for _, key in ipairs(list) do
    if not key:find("^%S+$") then refuse("a key must not contain spaces") end
    known[key] = true
  end
  if not next(known) then refuse("at least one key is needed") end
  world.keys, world.key = known, list[1]
end

-- plain; or hard: with characters that most formats must escape.
function set.passwords(world, text)
  if not proxies.alphabets[text] then refuse("passwords must be plain or hard, got '%s'", text) end
  world.passwords = text
end

function set.log(world, text)
  world.log = text == "true"
end

-- Settings of the start alone: the seed of all random values, and the path of the state file.
local first = { seed = true, state = true }

M.lists = { faults = true, keys = true }

--- Raises a string when a setting does not exist, or can be set at the start only.
function M.check(values, starting)
  for name in pairs(values) do
    if not set[name] and not (starting and first[name]) then
      refuse("'%s' is not a setting of the sandbox", name)
    end
  end
end

--- Applies settings; stops at the first invalid one.
-- @param values table of name -> string, or list of strings for `faults` and `keys`
-- @raise a message as a string
function M.apply(world, values)
  local names = {}
  for name in pairs(values) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    if set[name] then set[name](world, values[name]) end
  end
end

return M
