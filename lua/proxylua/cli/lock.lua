-- --lock NAME: one run at a time, for cron. The kernel frees the lock with the process, whatever ends it.

local core = require "proxylua.core"
local names = require "proxylua.names"

local M = {}

local held -- the handle of this run's lock: its end would be the lock's

local function folder()
  local base, home = os.getenv("XDG_STATE_HOME"), os.getenv("HOME")
  if base and base:find("^/") then return base .. "/proxylua/locks" end
  if home and home:find("^/") then return home .. "/.local/state/proxylua/locks" end
  core.error.raise{ kind = "config", message = "--lock needs HOME or XDG_STATE_HOME to keep its file in" }
end

--- Takes a lock for the rest of the run.
-- @param name letters, digits, "-", "_" and "."
-- @return whether it was free
-- @raise usage, config, store
function M.take(name)
  if #name > 100 or not name:find("^[%w_][%w_.-]*$") then
    names.usage("--lock takes a name of letters, digits, -, _ and ., such as restock; got %s", name)
  end
  local path = folder()
  core.system.make_folder(path)
  held = core.system.lock(path .. "/" .. name)
  return held ~= nil
end

return M
