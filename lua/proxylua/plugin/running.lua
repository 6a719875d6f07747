-- The plugins that run: each is loaded and started on first use, and is the same one for all who use it until the program ends.

local host = require "proxylua.plugin.host"
local installed = require "proxylua.plugin.installed"

local M = {}

local running = {}

--- The process of an installed plugin.
-- @param name string
-- @return instance of proxylua.plugin.host
-- @raise what proxylua.plugin.installed.open and host.start raise
function M.get(name)
  local instance = running[name]
  if not instance or instance:ended() then
    instance = host.start(installed.open(name))
    running[name] = instance
  end
  return instance
end

return M
