-- A client of `proxylua mcp`: writes lines to it and reads its lines.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}
local Client = {}
Client.__index = Client

--- Starts the server against a sandbox.
-- @param sandbox of spec.support.sandbox
-- @param arguments list, behind `mcp`
-- @param env table of variables, may be left out
function M.open(sandbox, arguments, env)
  local folder = program.folder()
  local all = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
    PROXYLUA_LIMITS = "off", PROXYLUA_SETTLE = "0.1s", PROXYLUA_CHECK_URL = sandbox.trace_url }
  for name, value in pairs(env or {}) do all[name] = value end
  local words = { "mcp", table.unpack(arguments or {}) }
  assert(os.execute(("mkfifo %s/in %s/out"):format(folder, folder)))
  local command = program.command(sandbox.home, words, all)
  assert(os.execute(("cd %s && (timeout 60 %s <in >out 2>err; echo $? >code) &"):format(folder,
    command)))
  local client = { folder = folder, id = 0 }
  client.input = assert(io.open(folder .. "/in", "w"))
  client.output = assert(io.open(folder .. "/out", "r"))
  client.input:setvbuf("no")
  return setmetatable(client, Client)
end

function Client:write(text)
  self.input:write(text)
end

function Client:send(message)
  message.jsonrpc = message.jsonrpc or "2.0"
  self:write(core.json.encode(message) .. "\n")
end

--- The next message of the server; nil at its end.
function Client:read()
  local line = self.output:read("l")
  return line and core.json.decode(line), line
end

--- Sends a request and returns its response; `others` takes what comes before.
function Client:request(method, params, others)
  self.id = self.id + 1
  self:send{ id = self.id, method = method, params = params or {} }
  while true do
    local message = assert(self:read(), "the server has gone")
    if message.id == self.id and not message.method then return message end
    if others then others(message) end
  end
end

--- Agrees on a revision that begins with `initialize`.
function Client:initialize(version, capabilities)
  local response = self:request("initialize", { protocolVersion = version or "2025-11-25",
    capabilities = capabilities or {}, clientInfo = { name = "spec", version = "1" } })
  self:send{ method = "notifications/initialized" }
  return response.result
end

--- The result of a tool.
function Client:tool(name, arguments, others)
  local response = self:request("tools/call", { name = name, arguments = arguments or {} }, others)
  return response.result, response.error
end

--- Closes its input and waits for its end.
-- @return exit code
-- @return what it wrote that was not read
-- @return standard error
function Client:close()
  self.input:close()
  local rest = self.output:read("a")
  self.output:close()
  while not core.system.kind(self.folder .. "/code") do core.task.sleep(0.005) end
  local code
  repeat code = tonumber(program.read(self.folder .. "/code")) until code
  local err = program.read(self.folder .. "/err")
  program.remove(self.folder)
  return code, rest, err
end

return M
