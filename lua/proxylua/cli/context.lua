-- The settings of a run: from flags, environment and config file, changed by --sandbox.

local config = require "proxylua.settings"
local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local function start_sandbox(settings, flags)
  if flags.base_url then names.usage("use either --sandbox or --base-url") end
  settings.sandbox = core.sandbox.start{}
  settings.base_url, settings.api_key_file, settings.api_key_command = nil, nil, nil
  if not flags.store then settings.store = ":memory:" end
end

--- Collects the settings.
-- @param flags table of the command line's options
-- @param options table, may be left out, as for settings.read
-- @return table of settings
-- @return table: the source of each
-- @raise config, usage
function M.settings(flags, options)
  local settings, sources = config.read(flags, options)
  settings.dry_run, settings.verbose, settings.quiet = flags.dry_run, flags.verbose, flags.quiet
  if flags.sandbox then start_sandbox(settings, flags) end
  return settings, sources
end

return M
