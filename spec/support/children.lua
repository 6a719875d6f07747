-- Several processes of the program at once.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}
local Children = {}
Children.__index = Children

--- Starts processes that run side by side.
-- @param count number
-- @param home folder of all of them
-- @param arguments list
-- @param env table of variables
-- @param path of another program, may be left out
-- @return children, with the fields pids and folder, and methods
function M.start(count, home, arguments, env, path)
  local self = setmetatable({ folder = program.folder(), pids = {} }, Children)
  local command = program.command(home, arguments, env, path)
  for number = 1, count do
    -- The shell stays, so that its exit code can be read. What a process prints is there even
    -- when it is killed at once.
    local base = ("%s/%d"):format(self.folder, number)
    local script = [[: >%s.out 2>%s.err; "$@" </dev/null >%s.out 2>%s.err & echo $! >%s.pid; ]]
      .. "wait $!; echo $? >%s.code"
    assert(os.execute(("sh -c '%s' sh %s 2>/dev/null &"):format(script:gsub("%%s", base), command)))
  end
  for number = 1, count do self.pids[number] = tonumber(self:await(number, "pid")) end
  return self
end

-- The text of a file that comes to be.
function Children:await(number, name)
  local path = ("%s/%d.%s"):format(self.folder, number, name)
  while true do
    local file = io.open(path)
    local text = file and file:read("a")
    if file then file:close() end
    if text and text:find("\n", 1, true) then return text end
    local ended = name ~= "code" and io.open(("%s/%d.code"):format(self.folder, number))
    if ended then
      ended:close()
      error("the process ended: " .. program.read(("%s/%d.err"):format(self.folder, number)), 2)
    end
    core.task.sleep(0.005)
  end
end

--- Ends one with SIGKILL.
function Children:kill(number)
  os.execute(("kill -KILL %d 2>/dev/null"):format(self.pids[number]))
end

--- Sends a signal to one.
function Children:signal(number, name)
  assert(os.execute(("kill -%s %d"):format(name, self.pids[number])))
end

--- Waits for the end of all.
-- @return list of tables: code, out, err
function Children:join()
  local results = {}
  for number = 1, #self.pids do
    local code = tonumber(self:await(number, "code"))
    local base = ("%s/%d"):format(self.folder, number)
    results[number] = { code = code, out = program.read(base .. ".out"),
      err = program.read(base .. ".err") }
  end
  program.remove(self.folder)
  return results
end

return M
