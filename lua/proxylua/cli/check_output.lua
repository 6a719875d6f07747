-- The output of `proxylua check`: one line per result to standard output, and the working proxies
-- to a file. If they cannot be written there, they are saved elsewhere, and the check continues.

local core = require "proxylua.core"
local plain = require "proxylua.util.text"
local rescues = require "proxylua.cli.rescue"

local M = {}
local Output = {}
Output.__index = Output

local EMPTY <const> = 12 -- exit code: the result is empty

--- Begins the output. An invalid path or format is an error here.
-- @param screen of the command
-- @param line function(result): the line of a terminal
-- @param options table: output (path or nil), format, allow_empty, sorted (boolean)
function M.begin(screen, line, options)
  local self = setmetatable({ screen = screen, path = options.output,
    sorted = options.sorted and {} or nil, rescue = rescues.new() }, Output)
  if options.output then
    self.file = require("proxylua.proxies.writing").begin(options.output,
      { format = options.format, allow_empty = options.allow_empty })
  end
  self.write, self.end_results = screen:writer("result", line)
  self.keeps_results = screen.form == "json" and not options.output
  return self
end

-- A proxy that the format cannot express, or a full disk, does not end the check.
local function add_to_file(self, proxy)
  self.rescue:add(proxy.url .. "\n")
  if self.refused then return end
  local ok, err = pcall(self.file.add, self.file, proxy)
  if not ok then self.refused = err end
end

-- Without a file, the check ends when its output is closed.
local function show(self, result)
  if self.unread then return end
  local ok, err = pcall(self.write, result)
  if ok then return end
  if not self.file then error(err, 0) end
  self.unread = err
end

local function put(self, result, proxy, is_shown)
  if self.file and result.works then add_to_file(self, proxy) end
  if not is_shown then return end
  if self.keeps_results then
    self.rescue:add(core.json.encode(result, { bytes = "escape" }) .. "\n")
  end
  show(self, result)
end

--- Adds a result. In sorted output it waits for the others.
function Output:add(result, proxy, is_shown)
  if self.sorted then
    self.sorted[#self.sorted + 1] = { result, proxy, is_shown }
  else
    put(self, result, proxy, is_shown)
  end
end

-- The fastest first, and the failing ones last.
local function put_sorted(self)
  local function time(item) return item[1].works and item[1].time or math.huge end
  for at, item in ipairs(self.sorted) do item.at = at end
  table.sort(self.sorted, function(a, b)
    local first, second = time(a), time(b)
    return first < second or first == second and a.at < b.at
  end)
  for _, item in ipairs(self.sorted) do put(self, table.unpack(item, 1, 3)) end
end

local function is_closed_pipe(err)
  return core.system.is_closed_pipe(err)
end

-- Reports where the results are now. As the last resort they go to standard error.
local function save(self, ending, what)
  local path = self.rescue:save(ending)
  if path then
    io.stderr:write("proxylua: ", what, " are in ", path, "\n")
    return
  end
  self.rescue:each(function(text)
    if core.system.isatty(2) then text = plain.lines(text:gsub("(://[^:@\n]*):[^@\n]*@", "%1@")) end
    io.stderr:write(text)
  end)
end

--- Ends the lines of results.
-- @raise store, when they cannot be written and there is no file
function Output:finish_results()
  if self.sorted then put_sorted(self) end
  local ok, err = pcall(function()
    self.end_results()
    core.system.flush()
  end)
  if ok then return end
  if self.keeps_results and not is_closed_pipe(err) then save(self, "jsonl", "the results") end
  self.unread = self.unread or err
end

--- Gives the file its name, and raises the error of either output.
function Output:commit()
  if self.file then
    local ok, result = not self.refused, self.refused
    if ok then ok, result = pcall(self.file.commit, self.file) end
    if ok then
      self.screen:note("%d %s in %s", result, result == 1 and "proxy" or "proxies", self.path)
    elseif core.error.is(result) and result.code == "empty" then
      self.screen:note("%s", result.message)
      core.system.set_exit_code(EMPTY)
    else
      save(self, "txt", "the working proxies")
      error(result, 0)
    end
  end
  if self.unread then error(self.unread, 0) end
end

function Output:close()
  self.rescue:close()
  if self.file then self.file:close() end
end

Output.__close = Output.close

return M
