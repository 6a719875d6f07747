-- The commands of an installed plugin: `proxylua NAME COMMAND`. Its name and summary come from the
-- list of plugins; the plugin is read when its words are parsed, and started when the command runs.

local installed = require "proxylua.plugin.package.installed"
local parsers = require "proxylua.cli.args.parser"
local keys = require("proxylua.util.list").keys

local M = {}

local converters = {
  text = function(text) return text end,
  integer = function(text)
    return math.tointeger(tonumber(text)), "expected a whole number, got " .. text
  end,
  number = function(text) return tonumber(text), "expected a number, got " .. text end,
}

local function add_option(command, name, row)
  local target = name:gsub("-", "_")
  if row.type == "flag" then return command:flag("--" .. name, row.summary):target(target) end
  local summary = row.summary
  if row.default ~= nil then summary = ("%s (%s)"):format(summary, row.default) end
  local option = command:option("--" .. name,
    summary):target(target):argname(name:upper():gsub(".*-", ""))
  option:convert(converters[row.type])
  if row.choices then parsers.suggest(option:choices(row.choices), row.choices) end
  if row.required then option:count(1) end
  return option
end

-- "restocker restock --type TYPE"
local function example(plugin, name, row)
  local words = { plugin, name }
  for _, option in ipairs(keys(row.options)) do
    local value = option:upper():gsub(".*-", "")
    if row.options[option].required then words[#words + 1] = ("--%s %s"):format(option, value) end
  end
  return table.concat(words, " ")
end

local function add_commands(parser, manifest)
  parser:require_command(true):command_target("plugin command")
  for _, name in ipairs(keys(manifest.commands)) do
    local row = manifest.commands[name]
    local command = parsers.command(parser, name, row.summary, example(manifest.name, name, row))
    for _, option in ipairs(keys(row.options)) do
      add_option(command, option, row.options[option])
    end
  end
  parsers.example(parser, manifest.name .. " " .. keys(manifest.commands)[1])
end

-- The options by their names with "_" for "-": texts, numbers and true.
local function options_of(row, args)
  local options = {}
  for name, option in pairs(row.options) do
    local key = name:gsub("-", "_")
    options[key] = args[key]
    if options[key] == nil then options[key] = option.default end
  end
  return options
end

local function run(name, args, screen)
  local instance = require("proxylua.plugin.host.running").get(name)
  local command = args["plugin command"]
  local answer = instance:command(command, options_of(instance.manifest.commands[command], args))
  if answer ~= nil then screen:value(nil, answer) end
  instance:close()
end

--- The names of the installed plugins that have commands, sorted.
-- @raise config
function M.names()
  local list = {}
  for name, entry in pairs(installed.entries()) do
    if #entry.commands > 0 then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

--- The command of a plugin, or nil.
-- @raise config
function M.find(name)
  local entry = installed.entries()[name]
  if not entry or #entry.commands == 0 then return nil end
  return {
    summary = entry.description .. " (plugin)",
    parser = function(parser) add_commands(parser, installed.open(name).manifest) end,
    run = function(args, context) run(name, args, context.screen) end,
  }
end

return M
