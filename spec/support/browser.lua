-- Headless Chromium, spoken to by the DevTools protocol over two named pipes: JSON messages that
-- end with a zero byte.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}
local Browser = {}
Browser.__index = Browser

local SECONDS = 120 -- after which it ends in any case, and so does a read from it

--- Starts it and opens a page.
-- @param path of an HTML file
-- @return browser with methods
function M.open(path)
  local folder = program.folder()
  local self = setmetatable({ folder = folder, id = 0 }, Browser)
  assert(os.execute(("mkfifo %s/in %s/out"):format(folder, folder)))
  local line =
    ("HOME=%s timeout %d chromium --headless --no-sandbox --disable-gpu --hide-scrollbars "
    .. "--user-data-dir=%s/data --remote-debugging-pipe about:blank 3<%s/in 4>%s/out >%s/log 2>&1 "
    .. "&"):format(folder,
      SECONDS, folder, folder, folder, folder)
  assert(os.execute(line))
  self.to, self.from = assert(io.open(folder .. "/in", "w")), assert(io.open(folder .. "/out", "r"))
  local target = self:call("Target.createTarget", { url = "about:blank" }).targetId
  self.session = self:call("Target.attachToTarget", { targetId = target, flatten = true }).sessionId
  self:call("Page.enable")
  self:call("Page.navigate", { url = "file://" .. core.system.real_path(path) })
  self:await("Page.loadEventFired")
  return self
end

local function read_message(self)
  local bytes = {}
  while true do
    local byte = self.from:read(1)
    if not byte then error("chromium ended: " .. program.read(self.folder .. "/log")) end
    if byte == "\0" then return core.json.decode(table.concat(bytes)) end
    bytes[#bytes + 1] = byte
  end
end

--- Waits for an event.
function Browser:await(event)
  repeat local message = read_message(self) until message.method == event
end

--- Calls a method of the protocol and returns its result.
function Browser:call(method, params)
  self.id = self.id + 1
  assert(self.to:write(core.json.encode{ id = self.id, method = method, sessionId = self.session,
    params = params
    or nil }, "\0"))
  self.to:flush()
  while true do
    local message = read_message(self)
    if message.id == self.id then
      assert(not message.error, message.error and message.error.message)
      return message.result
    end
  end
end

--- Shows the page at a width, on a medium and in a scheme of colours.
function Browser:show(width, media, scheme)
  self:call("Emulation.setDeviceMetricsOverride", { width = width, height = 800,
    deviceScaleFactor = 1,
    mobile = width < 600 })
  self:call("Emulation.setEmulatedMedia", { media = media,
    features = { { name = "prefers-color-scheme", value = scheme } } })
end

--- The value of an expression of JavaScript, as JSON carries it.
function Browser:eval(expression)
  local answer = self:call("Runtime.evaluate", { expression = expression, returnByValue = true })
  assert(not answer.exceptionDetails, core.json.encode(answer))
  return answer.result.value
end

--- Ends it.
function Browser:close()
  self.session = nil
  self:call("Browser.close")
  while self.from:read(4096) do end
  self.to:close()
  self.from:close()
  program.remove(self.folder)
end

return M
