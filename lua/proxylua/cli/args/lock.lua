-- --lock NAME: one run at a time, for cron. The kernel releases the lock when the process ends.

local config = require "proxylua.settings"
local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local held -- the handle of this run's lock; closing it would release the lock

--- Takes a lock for the rest of the run.
-- @param name letters, digits, "-", "_" and "."
-- @return whether it was free
-- @raise usage, config, store
function M.take(name)
  if #name > 100 or not name:find("^[%w_][%w_.-]*$") then
    names.usage("--lock takes a name of letters, digits, -, _ and ., such as restock; got %s", name)
  end
  local path = config.state_folder() .. "/locks"
  core.system.make_folder(path)
  held = core.system.lock(path .. "/" .. name)
  return held ~= nil
end

return M
