-- The emulated API. The server in src/sandbox calls the functions that `open` returns; they decide
-- everything.

local admin = require "proxylua.sandbox.admin"
local api = require "proxylua.sandbox.api"
local faults = require "proxylua.sandbox.faults"
local proxies = require "proxylua.sandbox.proxies"
local settings = require "proxylua.sandbox.settings"
local state = require "proxylua.sandbox.state"

local M = {}

local defaults = {
  balance = "1000.00", dialect = "envelope", limits = "general=60/60,orders=10/60",
    account = "active",
  passwords = "plain", log = "false", faults = {}, keys = { "sk_sandbox_0000000000000000" },
}

local World = {}
World.__index = World

--- Resets all counters.
function World:clear()
  self.counters = { requests = {}, answers = {}, limited = 0, sold = 0, extended = 0, forwarded = 0,
    proxies = {} }
  self.counted = { names = {}, times = {} }
  self.counted_by = {}
end

--- An account with the settings that the sandbox was started with.
-- @param data the account from the state file; nil: an empty one
function World:reset(data)
  self.exits, self.turn = {}, nil
  self:clear()
  state.use(self, data or state.new(self.seed))
  local values = {}
  for name, value in pairs(defaults) do values[name] = value end
  for name, value in pairs(self.values) do values[name] = value end
  if data then values.balance, values.email = nil, nil end
  settings.apply(self, values)
  self.dirty = not data
end

-- Reads a list of "name=value" into a table of settings.
local function read(texts)
  local values = {}
  for _, text in ipairs(texts) do
    local name, value = text:match("^([^=]+)=(.*)$")
    if not name then error(("'%s' is not NAME=VALUE"):format(text), 0) end
    if settings.lists[name] then
      values[name] = values[name] or {}
      table.insert(values[name], value)
    else
      values[name] = value
    end
  end
  return values
end

local function configure(world, texts)
  local values = read(texts)
  settings.check(values, true)
  local seed = values.seed and tonumber(values.seed, 36)
  if values.seed and not seed then error("seed must consist of letters and digits", 0) end
  world.seed = seed and state.mix(seed) or world.host.random()
  world.path, world.values = values.state, values
  world:reset()
end

-- Bytes that a terminal may act on are shown as ?.
local function log(world, ...)
  if world.log then
    world.host.log(os.date("%H:%M:%S ") .. (...):format(select(2, ...)):gsub("[^ -~]", "?"))
  end
end

local handlers = { [api.base] = api.handle, [admin.base] = admin.handle }

local function handle(world, request)
  request.target = request.target:gsub("^[Hh][Tt][Tt][Pp]://[^/]*", "")
  if request.method == "HEAD" then request.method = "GET" end -- the server sends no body
  local base = request.target:match("^/_sandbox/") or request.target:match("^/api/v1")
  local response, name = { status = 404, body = '{"error":"the API is at /api/v1"}',
    headers = { ["Content-Type"] = "application/json" } }, "unknown"
  if base then response, name = handlers[base](world, request) end
  state.save(world)
  local outcome = response.status == 0 and "cut" or ("%d"):format(response.status)
  world.counters.answers[outcome] = (world.counters.answers[outcome] or 0) + 1
  response.headers["Date"] = os.date("!%a, %d %b %Y %H:%M:%S GMT", math.floor(state.now(world)))
  log(world, "%s %s %s %s", request.method, request.target, outcome, name)
  return response.status, response.body, response.headers, response.length, response.more
end

local function authorize(world, username, password, target)
  local address, fault = proxies.authorize(world, username, password)
  log(world, "proxy %s %s %s", username, target, address and "from " .. address or "407")
  if not address then return nil end
  return address, fault.status or 0, fault.delay and faults.seconds(fault.delay) or 0,
    fault.cut ~= nil
end

--- Opens a sandbox.
-- @param texts list of "name=value": see settings.lua; `faults` and `keys` may appear several times
-- @param host the server's functions: now(), clock(), random(), log(line), write_file(path, text),
--   json, ports (of the proxies)
-- @return handle(request) -> status, body, headers, length, more; runs in a coroutine, which yields
--   the seconds to wait
-- @return authorize(username, password, target) -> exit address, status, delay, cut; or nil
-- @return the first key
-- @raise table {kind=, message=}
function M.open(texts, host)
  local world = setmetatable({ host = host }, World)
  local ok, why = pcall(configure, world, texts)
  if not ok then error({ kind = "config", message = "sandbox: " .. tostring(why) }, 0) end
  local data = world.path and state.load(world, world.path)
  if data then world:reset(data) end
  state.save(world)
  local function handle_request(request) return handle(world, request) end
  local function authorize_user(...) return authorize(world, ...) end
  return handle_request, authorize_user, world.key
end

return M
