-- The inputs of this and earlier sessions: a file with one entry a line, rewritten as a whole under
-- a lock, so that simultaneous sessions do not lose entries. Entries with the API key are not
-- saved.

local core = require "proxylua.core"
local paths = require "proxylua.util.path"

local M = {}

local MAX_ENTRIES = 1000
local MAX_BYTES = 4 << 20
local PATIENCE = 1 -- seconds for another session to finish writing

local History = {}
History.__index = History

local function encode(entry)
  return (entry:gsub("[\\\n]", { ["\\"] = "\\\\", ["\n"] = "\\n" }))
end

local function decode(line)
  return (line:gsub("\\(.)", { ["\\"] = "\\", n = "\n" }))
end

-- Adds an entry as the newest; an older one with the same text is removed.
local function add(list, entry)
  for at = #list, 1, -1 do
    if list[at] == entry then table.remove(list, at) end
  end
  list[#list + 1] = entry
  while #list > MAX_ENTRIES do table.remove(list, 1) end
end

-- The entries of the file; raises a text when it cannot be read or is not a text.
local function load_file(path)
  if not core.system.kind(path) then return {} end
  local text, why = core.system.read_file(path, MAX_BYTES)
  if not text then error(why, 0) end
  if not utf8.len(text) or text:find("%z") then error("it is damaged", 0) end
  local list = {}
  for line in text:gmatch("[^\n]+") do list[#list + 1] = decode(line) end
  return list
end

local function save_file(path, list)
  local lines = {}
  for at, entry in ipairs(list) do lines[at] = encode(entry) .. "\n" end
  core.system.write_file(path, table.concat(lines), 384) -- 0600
end

-- The lock beside the file; another session holds it only for a moment.
local function lock(path)
  local ends = core.task.clock() + PATIENCE
  repeat
    local handle = core.system.lock(path .. ".lock")
    if handle then return handle end
    core.task.sleep(0.005)
  until core.task.clock() > ends
  error("another session holds its lock", 0)
end

-- A problem is reported once; the session continues without the file.
local function give_up(history, why)
  history.path = nil
  history.report(("the history %s is not used: %s"):format(history.shown,
    tostring(why):gsub("^%a+: ", "")))
end

--- Opens the history.
-- @param report function(text) that reports a problem
-- @return history, with the field `list` of entries, oldest first
function M.open(report)
  local place = paths.user_folder("XDG_STATE_HOME", ".local/state")
  local path = place and place .. "/history"
  local history = setmetatable({ path = path, shown = path, report = report, list = {} }, History)
  if not path then return history end
  local ok, list = pcall(function()
    core.system.make_folder(place)
    return load_file(path)
  end)
  if ok then history.list = list else give_up(history, list) end
  return history
end

local function is_secret(entry)
  return core.login.scrub(entry) ~= entry or entry:find("sk_%a+_%w+")
end

local function write(path, entry)
  local handle <close> = lock(path) -- luacheck: ignore handle
  local list = load_file(path)
  add(list, entry)
  save_file(path, list)
end

--- Adds an entry.
function History:add(entry)
  if not entry:find("%S") or is_secret(entry) or not utf8.len(entry) then return end
  add(self.list, entry)
  if not self.path then return end
  local ok, why = pcall(write, self.path, entry)
  if not ok then give_up(self, why) end
end

return M
