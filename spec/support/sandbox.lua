-- A sandbox inside the specs' own process, and scripts that run against it in processes of their
-- own.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}
local Sandbox = {}
Sandbox.__index = Sandbox

--- Starts the sandbox, by default without limits; only one can run.
-- @param settings table, may be left out: see lua/proxylua/sandbox/settings.lua
-- @return sandbox, with the fields url, key, admin_url, trace_url and home (folder of the scripts'
--   store), and methods
function M.start(settings)
  local all = { limits = "off" }
  for name, value in pairs(settings or {}) do all[name] = value end
  local sandbox = core.sandbox.start(all)
  sandbox.home = program.folder()
  return setmetatable(sandbox, Sandbox)
end

function Sandbox:stop()
  core.sandbox.stop()
  program.remove(self.home)
end

-- One request to the admin interface.
local function admin(sandbox, method, name, body)
  local answer = core.http[method](sandbox.admin_url .. "/" .. name, {
    headers = { ["X-Sandbox-Key"] = sandbox.key }, json = body,
  })
  assert(answer.ok, answer.body)
  return answer:json()
end

--- The response of GET /_sandbox/NAME: counters, counted, orders.
function Sandbox:look(name)
  return admin(self, "get", name)
end

--- POST /_sandbox/NAME: settings, clock, deposit, cancel, reset.
function Sandbox:change(name, body)
  return admin(self, "post", name, body or core.json.decode("{}"))
end

--- Runs the program against this sandbox, limits off, allowed to spend.
-- @param arguments list
-- @param options as program.run has them
function Sandbox:run(arguments, options)
  local given = options or {}
  local env = {
    PROXYLUA_BASE_URL = self.url, PROXYLUA_API_KEY = self.key, PROXYLUA_LIMITS = "off",
      PROXYLUA_SPEND = "1000",
    PROXYLUA_SETTLE = "0.1s",
  }
  for name, value in pairs(given.env or {}) do env[name] = value end
  return program.run(arguments, {
    home = given.home or self.home, stdin = given.stdin, cwd = given.cwd, to = given.to, env = env,
  })
end

-- Keeps `code` on line 1, so that positions in errors are right.
local frame = [[local px = require "proxylua" local function body() %s
end
local results = table.pack(body())
for index = 1, results.n do if results[index] == nil then results[index] = false end end
results.n = nil
io.write(px.json.encode(px.json.array(results)))
]]

--- Runs the body of a function in a script of its own.
-- @param code text of the body; `px` is there
-- @param options as program.run has them
-- @return what it returned, through JSON; raises what it wrote to standard error when it fails
function Sandbox:eval(code, options)
  local run = { stdin = frame:format(code) }
  for name, value in pairs(options or {}) do run[name] = value end
  local result = self:run({ "-" }, run)
  if result.code ~= 0 then error(("exit code %d: %s"):format(result.code, result.err), 2) end
  return table.unpack(core.json.decode(result.out))
end

return M
