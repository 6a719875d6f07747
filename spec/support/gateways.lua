-- `proxylua gateway` as a process of its own, on free ports.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}
local Gateway = {}
Gateway.__index = Gateway

--- Starts one in front of proxies.
-- @param proxies list of URLs, one a line of the file --from
-- @param arguments list, may be left out
-- @param options table, may be left out: `before`, shell commands such as "ulimit -n 50"; `env`,
--   variables
-- @return gateway, with the fields port, url, metrics (URL), file (of the proxies) and pid
function M.start(proxies, arguments, options)
  local folder = program.folder()
  local file = program.write(folder .. "/proxies", table.concat(proxies, "\n") .. "\n")
  local words = { "--json", "gateway", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0",
    "--from", file, "--refresh", "0.1s" }
  table.move(arguments or {}, 1, #(arguments or {}), #words + 1, words)
  local command = program.command(folder, words, options and options.env)
  local line = ("%s exec sh -c 'echo $$; exec \"$@\"' sh %s 2>%s/err"):format(
    options and options.before and options.before .. ";" or "", command, folder)
  local pipe = assert(io.popen(line))
  local pid = pipe:read("n", "l")
  local text = pipe:read("l")
  if not text then error("the gateway does not start: " .. program.read(folder .. "/err"), 2) end
  local place = core.json.decode(text)
  return setmetatable({ folder = folder, file = file, pipe = pipe, pid = pid, port = place.port,
    url = place.url, metrics = place.metrics }, Gateway)
end

--- The counters.
function Gateway:stats()
  return core.http.get(self.metrics .. "/stats", { proxy = "" }):json()
end

--- Waits until the counters say what a function wants to see.
function Gateway:await(is_so)
  while true do
    local stats = self:stats()
    if is_so(stats) then return stats end
    core.task.sleep(0.01)
  end
end

function Gateway:errors()
  return program.read(self.folder .. "/err")
end

--- The kilobytes of memory that it uses now.
function Gateway:memory()
  return tonumber(program.read(("/proc/%d/status"):format(self.pid)):match("VmRSS:%s*(%d+)"))
end

--- Sends a signal and waits for the end. (Never SIGCONT: it takes back the SIGSTOP of the leak
-- checker, and a program that is ending waits for ever.)
-- @param signal its name; 0 only waits; default: TERM
-- @return exit code
function Gateway:stop(signal)
  if self.stopped then return self.stopped end
  os.execute(("kill -%s %d 2>/dev/null"):format(signal or "TERM", self.pid))
  local _, how, code = self.pipe:close()
  self.stopped = how == "exit" and code or 128 + (code or 0)
  return self.stopped
end

Gateway.__gc = Gateway.stop

return M
