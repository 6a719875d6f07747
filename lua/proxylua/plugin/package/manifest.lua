-- plugin.lua, the manifest of a plugin: a table that is read as data and checked field by field.

local core = require "proxylua.core"
local hooks = require "proxylua.util.hooks"
local names = require "proxylua.util.names"
local permissions = require "proxylua.plugin.package.permissions"
local plain = require "proxylua.util.text"
local versions = require "proxylua.plugin.package.version"

local M = {}

local LIMITS = { memory = 1 << 20, instructions = 1000000, values = 2000, depth = 8 }
local MAX_COMMANDS, MAX_OPTIONS, MAX_ADDED = 30, 30, 30

local fields = {
  name = true, version = true, description = true, requires = true, permissions = true,
    commands = true, on = true,
  formats = true, rules = true,
}
local command_fields = { run = true, summary = true, options = true }
local format_fields = { run = true, summary = true, extension = true }
local rule_fields = { run = true, summary = true }
local option_fields = { summary = true, type = true, default = true, required = true,
  choices = true }
local option_types = { flag = "boolean", text = "string", integer = "integer", number = "number" }

local function raise(format, ...)
  core.error.raise{ kind = "config", message = "plugin.lua: " .. format:format(...) }
end

local function refuse(field, what)
  raise("%s %s", field, what)
end

local function unknown(where, given, known)
  for name in pairs(given) do
    if known[name] == nil then
      raise("unknown %s%s%s", where == "" and "field " or where .. ".", tostring(name),
        names.hint(name, known))
    end
  end
end

local function check_line(field, value, most)
  if type(value) ~= "string" or value:find("^%s*$") then refuse(field, "must be a text") end
  if #value > most or not plain.is_line(value) then
    refuse(field, ("must be one line of plain text, at most %d bytes"):format(most))
  end
  return value
end

local function check_table(field, value)
  if type(value) ~= "table" then refuse(field, "must be a table, got a " .. type(value)) end
  return value
end

-- "function" of main.lua, or "module.function".
local function check_function(field, value)
  local name = type(value) == "string" and #value <= 200 and value or ""
  if not name:find("^[%a_][%w_.]*$") or name:find("..", 1, true) or name:find("%.%d")
    or name:find("%.$") then
    refuse(field, "must be the name of a function in main.lua, or module.function")
  end
  return name
end

local function check_choices(field, choices)
  if choices == nil then return end
  for at = 1, #check_table(field, choices) do
    check_line(("%s[%d]"):format(field, at), choices[at], 100)
  end
  if #choices == 0 then refuse(field, "must be a list of texts") end
end

local function check_default(field, option, kind)
  local value = option.default
  if value == nil then return end
  if kind == "flag" or option.required then
    refuse(field, "cannot be used for a flag or a required option")
  end
  local found = kind == "integer" and math.type(value) or type(value)
  if found ~= option_types[kind] then refuse(field, "must have the type " .. kind) end
  if kind == "text" and not plain.is_line(value) then refuse(field, "must be one line of plain "
    .. "text") end
end

local function check_option(field, name, option)
  if type(name) ~= "string" or not name:find("^%l[%l%d-]*$") or #name < 2 or #name > 40 then
    refuse(field, "is not a valid name of an option: use small letters, digits and -, such as "
      .. "max-price")
  end
  if hooks.call("is_option", name) then refuse(field, "is a global option of proxylua") end
  unknown(field, check_table(field, option), option_fields)
  check_line(field .. ".summary", option.summary, 200)
  local kind = option.type or "flag"
  if not option_types[kind] then refuse(field .. ".type", "must be flag, text, integer or "
    .. "number") end
  if option.required ~= nil and option.required ~= true then
    refuse(field .. ".required", "must be true, or left out")
  end
  if option.required and kind == "flag" then refuse(field .. ".required", "cannot be used for a "
    .. "flag") end
  check_choices(field .. ".choices", option.choices)
  if option.choices and kind ~= "text" then refuse(field .. ".choices", "can be used only for the "
    .. "type text") end
  check_default(field .. ".default", option, kind)
  return {
    summary = option.summary, type = kind, default = option.default, required = option.required,
    choices = option.choices,
  }
end

local function count(list)
  local n = 0
  for _ in pairs(list) do n = n + 1 end
  return n
end

local function check_command(field, name, command)
  if type(name) ~= "string" or not name:find("^%l[%l%d-]*$") or #name > 40 then
    refuse(field, "is not a valid name of a command: use small letters, digits and -")
  end
  unknown(field, check_table(field, command), command_fields)
  local options = {}
  if count(check_table(field .. ".options", command.options or {})) > MAX_OPTIONS then
    refuse(field .. ".options", ("may be at most %d"):format(MAX_OPTIONS))
  end
  for option, value in pairs(command.options or {}) do
    options[option] = check_option(("%s.options.%s"):format(field, option), option, value)
  end
  return {
    run = check_function(field .. ".run", command.run), summary = check_line(field .. ".summary",
      command.summary, 200),
    options = options,
  }
end

local function check_commands(given)
  local commands = {}
  if count(check_table("commands", given)) > MAX_COMMANDS then
    refuse("commands", ("may be at most %d"):format(MAX_COMMANDS))
  end
  for name, command in pairs(given) do
    commands[name] = check_command("commands." .. tostring(name), name, command)
  end
  return commands
end

local function check_added(field, given, check)
  local added = {}
  if count(check_table(field, given)) > MAX_ADDED then
    refuse(field, ("may be at most %d"):format(MAX_ADDED))
  end
  for name, row in pairs(given) do
    local where = ("%s.%s"):format(field, tostring(name))
    if type(name) ~= "string" or not name:find("^%l[%l%d-]*$") or #name > 40 then
      refuse(where, "is not a valid name: use small letters, digits and -")
    end
    added[name] = check(where, name, check_table(where, row))
    added[name].run = check_function(where .. ".run", row.run)
    added[name].summary = check_line(where .. ".summary", row.summary, 200)
  end
  return added
end

local function check_format(field, name, row)
  unknown(field, row, format_fields)
  if require("proxylua.formats").is_own(name) then refuse(field, "is already a format of "
    .. "proxylua") end
  local extension = row.extension or "txt"
  if type(extension) ~= "string" or not extension:find("^%w[%w.]*$") or #extension > 20 then
    refuse(field .. ".extension", "must be the extension of its files, such as txt")
  end
  return { extension = extension }
end

local function check_rule(field, name, row)
  unknown(field, row, rule_fields)
  if require("proxylua.check.verdict").is_own(name) then
    refuse(field, "is already a reason of proxylua")
  end
  return {}
end

local function check_events(given)
  local on = {}
  unknown("on", check_table("on", given), permissions.events)
  for event, name in pairs(given) do on[event] = check_function("on." .. event, name) end
  return on
end

--- Whether a value can be the name of a plugin, and of its folder.
function M.is_name(name)
  return type(name) == "string" and #name <= 40 and name:find("^%l[%l%d-]*$") ~= nil
end

local function check_name(name)
  if not M.is_name(name) then
    refuse("name", "must be at most 40 small letters, digits and -, beginning with a letter")
  end
  if hooks.call("is_command", name) then refuse("name", name .. " is already a command of "
    .. "proxylua") end
  return name
end

local function check_requires(requires)
  if requires == nil then return nil end
  if not versions.range(requires) then
    refuse("requires", "must be a range of versions, such as \">=1.2 <2\"")
  end
  return requires
end

--- Reads a manifest.
-- @param text of plugin.lua
-- @return table: name, version, description, requires, permissions, commands, on, formats, rules;
--   the last five are always present
-- @raise config, which names the field
function M.read(text)
  local given = core.data.load(text, "=plugin.lua", LIMITS)
  unknown("", given, fields)
  local manifest = {
    name = check_name(given.name), version = given.version,
    description = check_line("description", given.description, 300),
      requires = check_requires(given.requires),
  }
  if not versions.parse(given.version) then refuse("version", "must be a version such as 1.2.0") end
  manifest.permissions = permissions.check(given.permissions or {}, refuse, unknown)
  manifest.commands = check_commands(given.commands or {})
  manifest.on = check_events(given.on or {})
  manifest.formats = check_added("formats", given.formats or {}, check_format)
  manifest.rules = check_added("rules", given.rules or {}, check_rule)
  return manifest
end

-- The modules whose functions a manifest calls, by field.
local function modules_of(manifest)
  local list = {}
  for name, command in pairs(manifest.commands) do
    list[("commands.%s.run"):format(name)] = command.run
  end
  for event, name in pairs(manifest.on) do list["on." .. event] = name end
  for name, format in pairs(manifest.formats) do
    list[("formats.%s.run"):format(name)] = format.run
  end
  for name, rule in pairs(manifest.rules) do list[("rules.%s.run"):format(name)] = rule.run end
  return list
end

--- Refuses a manifest that calls functions of missing modules.
-- @param files table whose keys are the paths of the plugin's files
-- @raise config
function M.check_modules(manifest, files)
  for field, name in pairs(modules_of(manifest)) do
    local module = name:match("^(.+)%.[^.]+$")
    local path = module and module:gsub("%.", "/")
    if path and not files[path .. ".lua"] and not files[path .. "/init.lua"] then
      refuse(field, ("needs a module that does not exist: %s.lua"):format(path))
    end
  end
end

--- Refuses a plugin that asks for another version of the program.
-- @raise config
function M.check_runtime(manifest)
  if manifest.requires and not versions.fits(core.version, manifest.requires) then
    core.error.raise{
      kind = "config",
      message = ("the plugin %s %s requires proxylua %s, but this is %s"):format(manifest.name,
        manifest.version,
        manifest.requires, core.version),
    }
  end
end

return M
