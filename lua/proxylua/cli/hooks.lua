-- Connects the lower layers to the higher ones that serve them (proxylua.util.hooks). Modules are
-- loaded when a hook is called.

local hooks = require "proxylua.util.hooks"

require "proxylua.api.events"

local function events() return require "proxylua.plugin.host.events" end
local function contributions() return require "proxylua.plugin.host.contributions" end
local function bundled() return require "proxylua.bundle.plugins" end

hooks.provide{
  emit = function(...) return events().notify(...) end,
  emitter = function(...) return events().notifier(...) end,
  formats = function() return contributions().formats() end,
  format = function(name) return contributions().format(name) end,
  rules = function() return contributions().rules() end,
  plugin = function(name) return require("proxylua.plugin.host.running").functions(name) end,
  bundled_plugins = function() return bundled().entries() end,
  bundled_plugin = function(name) return bundled().open(name) end,
  is_command = function(name) return require("proxylua.cli.commands").is_core(name) end,
  is_option = function(name) return require("proxylua.cli.args.options").has(name) end,
  command_line = function()
    return {
      commands = require "proxylua.cli.commands", options = require "proxylua.cli.args.options",
      parsers = require "proxylua.cli.args.parser",
    }
  end,
}
