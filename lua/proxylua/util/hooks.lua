-- Hooks: what a lower layer calls without knowing who provides it. The command line connects them
-- (proxylua.cli.hooks); in a process where none is connected, such as a plugin's, a call does
-- nothing.

local core = require "proxylua.core"

local M = {}

--- The hooks: name -> what its provider does.
local known = {
  emit = "emit(event, data) delivers an event to the plugins that listen",
  emitter = "emitter(event) -> function(data), for an event that may come a million times",
  formats =
    "formats() -> list of {name, plugin, summary, extension}: the export formats of plugins",
  format = "format(name) -> the export format of a plugin, or nil",
  rules = "rules() -> list of {name, plugin, fn}: the check rules of plugins, for one check",
  plugin = "plugin(name) -> table of the plugin's functions",
  bundled_plugins = "bundled_plugins() -> entries of the plugins of this program's bundle by name, "
    .. "or nil outside of a bundle",
  bundled_plugin = "bundled_plugin(name) -> a plugin of this program's bundle, loaded",
  is_command = "is_command(name) -> whether a command of the program has this name",
  is_option = "is_option(name) -> whether a global option has this name",
  command_line =
    "command_line() -> {commands, options, parsers}: the modules that describe the command line",
}

local providers = {}

--- Connects hooks.
-- @param given table: name of a hook -> function
function M.provide(given)
  for name, fn in pairs(given) do
    if not known[name] then
      core.error.raise{ kind = "internal", message = ("there is no hook %s"):format(name) }
    end
    providers[name] = fn
  end
end

--- Calls the provider of a hook.
-- @return what it returns; nothing if none is connected
function M.call(name, ...)
  local fn = providers[name]
  if fn then return fn(...) end
end

return M
