-- The commands: those of the endpoint table, one file for each of the others beside this one, and
-- those of installed plugins, which never replace another. A command is a table: summary,
-- parser(parser) adds its arguments, run(args, context) runs it. context.screen takes its output; a
-- command with `bare` needs no settings.

local endpoints = require "proxylua.cli.commands.endpoints"
local words = require "proxylua.cli.args.words"

local M = {}

local own = { "api", "fleet", "renew", "check", "export", "report", "deposit", "alerts", "journal",
  "plugin", "bundle", "mcp", "sandbox", "auth", "config", "limits", "doctor",
  "completion", "help" }

-- A damaged list of plugins, which `proxylua doctor` reports, does not affect the other commands.
local function plugins()
  local ok, list = pcall(function() return require("proxylua.cli.commands.plugin_run").names() end)
  return ok and list or {}
end

--- The names of all commands, in the order of the help.
-- @param core_only true: without those of plugins
function M.names(core_only)
  local list = endpoints.names()
  table.move(own, 1, #own, #list + 1, list)
  for _, name in ipairs(core_only and {} or plugins()) do
    if not M.is_core(name) then list[#list + 1] = name end
  end
  return list
end

local function find_core(name)
  for _, word in ipairs(own) do
    if word == name then return require("proxylua.cli.commands." .. name) end
  end
  return endpoints.find(name)
end

--- Whether a command of the program itself has this name.
function M.is_core(name)
  return find_core(name) ~= nil or words.is_reserved(name)
end

--- The command of a name, or nil.
function M.find(name)
  return find_core(name) or require("proxylua.cli.commands.plugin_run").find(name)
end

return M
