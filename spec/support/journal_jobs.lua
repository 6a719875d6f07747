-- Runs the jobs of the journal on a store, without a server: build/spec/journal_check.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}

local function split(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  return lines
end

--- Runs jobs in one process, and returns what each printed.
-- @param store location
-- @param jobs list of lines
-- @param ahead seconds by which the wall clock of this process is ahead, may be left out
function M.run(store, jobs, ahead)
  local folder = program.folder()
  local input = program.write(folder .. "/jobs", table.concat(jobs, "\n") .. "\n")
  local pipe = assert(io.popen(("JOURNAL_CHECK_AHEAD=%d build/spec/journal_check %s <%s 2>&1")
    :format(ahead or 0, program.quote(store), input)))
  local lines = split(pipe:read("a"))
  pipe:close()
  program.remove(folder)
  return lines
end

local Session = {}
Session.__index = Session

--- A process that runs one job after another, beside others.
function M.open(store)
  local self = setmetatable({ folder = program.folder(), read = 0 }, Session)
  local output = program.write(self.folder .. "/output", "")
  local command = "echo $$ >%s/pid; exec build/spec/journal_check %s >%s 2>&1"
  self.input = assert(io.popen(command:format(self.folder, program.quote(store), output), "w"))
  self.output = assert(io.open(output))
  return self
end

--- Runs a job, and returns what it printed.
function Session:run(job)
  self.input:write(job, "\n")
  self.input:flush()
  local line = ""
  repeat
    local part = self.output:read("L")
    line = line .. (part or "")
    if not part then core.task.sleep(0.002) end
  until line:sub(-1) == "\n"
  return line:sub(1, -2)
end

--- Sends a signal to the process.
function Session:signal(name)
  assert(os.execute(("kill -%s $(cat %s/pid)"):format(name, self.folder)))
end

function Session:close()
  self.input:close()
  self.output:close()
  program.remove(self.folder)
end

return M
