-- `proxylua config`: the settings and their files.

local config = require "proxylua.settings"
local core = require "proxylua.core"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local saved = require "proxylua.cli.saved_settings"

local M = { bare = true }

local EMPTY <const> = 12 -- exit code: nothing where something was expected

local TEMPLATE = [[
-- Settings of proxylua; proxylua help config lists them all.
return {
  -- spend = { per_run = 25, per_day = 100 },
}
]]

local function setting_names()
  local list = {}
  for at, row in ipairs(config.rows) do list[at] = row[1] end
  return list
end

local function row_of(name)
  local known = {}
  for _, row in ipairs(config.rows) do
    known[row[1]] = true
    if row[1] == name then return row end
  end
  names.usage("there is no setting %s%s", name,
    names.hint(name, known, "%s", "; proxylua config list shows all"))
end

local function values_of(taken)
  local row = row_of(taken[1])
  return row[2] == "boolean" and { "true", "false" } or row[2] == "path" and "files" or {}
end

local function add_name(command)
  parsers.suggest(command:argument("name", "the setting, such as spend.per_run"):argname("NAME"),
    setting_names)
  return command
end

function M.parser(parser)
  parser:require_command(true):command_target("action")
  add_name(parsers.command(parser, "get", "print the value of a setting", "config get limits"))
  local set = add_name(parsers.command(parser, "set",
    "save a setting in a file beside the config file, which takes precedence",
    "config set spend.per_run 25"))
  parsers.suggest(set:argument("value", "its value"):argname("VALUE"), values_of)
  add_name(parsers.command(parser, "unset", "remove a setting that was saved with set",
    "config unset spend.per_run"))
  parsers.command(parser, "list", "show all settings, and where each comes from", "config list")
  parsers.command(parser, "path", "print the path of the config file", "config path")
  parsers.command(parser, "edit", "open the config file in an editor ($VISUAL, $EDITOR, or vi)",
    "config edit")
  parsers.example(parser, "config list", "config set spend.per_run 25",
    "--profile trial config set timeout 5s")
end

local function field(settings, name)
  local group, member = name:match("^(%w+)%.([%w_]+)$")
  if not group then return settings[name] end
  return settings[group] and settings[group][member]
end

-- As people write it.
local function text_of(row, value)
  if value == nil then return nil end
  return row[2] == "duration" and ("%gs"):format(value) or tostring(value)
end

local actions = {}

function actions.get(args, context)
  local row = row_of(args.name)
  local value = text_of(row, field(config.read(context.flags), row[1]))
  if value == nil then return core.system.set_exit_code(EMPTY) end
  context.screen:value(nil, value)
end

function actions.list(_, context)
  local settings, sources = config.read(context.flags)
  local list = {}
  for at, row in ipairs(config.rows) do
    list[at] = { setting = row[1], value = text_of(row, field(settings, row[1])),
      source = sources[row[1]] }
  end
  context.screen:list("setting", list)
end

-- What is read from now on, if it is not what was saved.
local function report_precedence(context, row, path)
  local flags = { profile = context.flags.profile }
  local settings, sources = config.read(flags)
  local from = sources[row[1]]
  if from and from ~= "default" and from:find(path, 1, true) ~= 1 then
    context.screen:note("%s takes precedence, with the value %s", from,
      text_of(row, field(settings, row[1])))
  end
end

function actions.set(args, context)
  local row = row_of(args.name)
  local value, why = config.check_text(row, args.value)
  if value == nil then names.usage("%s %s", row[1], why) end
  if row[2] ~= "boolean" then value = args.value end
  local path = saved.set(context.flags.profile, row[1], value)
  context.screen:note("saved in %s", path)
  report_precedence(context, row, path)
end

function actions.unset(args, context)
  local row = row_of(args.name)
  local path = saved.set(context.flags.profile, row[1], nil)
  context.screen:note("removed from %s", path)
end

function actions.path(_, context)
  local path = config.path()
  if not path then saved.folder() end -- raises the reason
  if context.screen:is_data() then
    return context.screen:record(nil, { config = path, set = config.set_path() })
  end
  core.system.write(path, "\n")
end

-- The editor may be a command with options.
function actions.edit()
  saved.folder()
  local path = config.path()
  if not core.system.kind(path) then core.system.write_file(path, TEMPLATE, 384) end -- 0600
  local editor = os.getenv("VISUAL") or os.getenv("EDITOR") or "vi"
  local quoted = "'" .. path:gsub("'", "'\\''") .. "'"
  if not os.execute(editor .. " " .. quoted) then
    core.error.raise{ kind = "config", message = ("the editor failed: %s"):format(editor) }
  end
  config.read{}
end

function M.run(args, context)
  actions[args.action](args, context)
end

return M
