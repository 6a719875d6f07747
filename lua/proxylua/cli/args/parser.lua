-- Reads a command's words with argparse: one parser per command, built when the command is called,
-- with the global options added. Mistakes are usage errors. A request for help ends the parsing.

local core = require "proxylua.core"
local options = require "proxylua.cli.args.options"
local terminal = require "proxylua.term.size"
local known_words = require "proxylua.cli.args.words"

local M = {}

local NARROWEST, WIDEST = 40, 100

local function width()
  return math.max(NARROWEST, math.min(WIDEST, terminal.width(1)))
end

-- The error that a parser raises after -h.
local Help = {}

-- Examples by parser, and completions by option and argument.
local examples, suggestions = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" })

-- The names of a required argument and of those that follow it: arguments are read in order.
local function missing_from(parser, name)
  local missing
  for _, argument in ipairs(parser._arguments) do
    if argument._name == name then missing = {} end
    if missing and argument._minargs > 0 then
      missing[#missing + 1] = argument._argname or argument._name:upper()
    end
  end
  if not missing or #missing == 0 then return name .. " is missing" end
  local last = table.remove(missing)
  if #missing == 0 then return last .. " is missing" end
  return ("%s and %s are missing"):format(table.concat(missing, ", "), last)
end

-- argparse appends its advice as a sentence on a second line, and does not name the commands.
local function fail(parser, message)
  local argument = message:match("^missing argument '(.-)'")
  if argument then message = missing_from(parser, argument) end
  local word = message:match("^unknown command '(.-)'")
  if word then
    local known = {}
    for _, command in ipairs(parser._commands) do known[command._name] = true end
    local meant = known_words.sub_command(word, known)
    message = ("unknown command '%s'%s"):format(word,
      meant and (", did you mean %s?"):format(meant) or "")
  end
  message = message:gsub("\nDid you mean (.-)%?$", ", did you mean %1?"):gsub("%s*\n%s*", "; ")
  if message == "a command is required" then
    local known = {}
    for at, command in ipairs(parser._commands) do known[at] = command._name end
    message = "a command is missing: " .. table.concat(known, ", ")
  end
  core.error.raise{
    kind = "usage",
    message = ("%s%s run %s --help"):format(message,
      message:find("%?$") and "" or ";", parser:get_fullname()),
  }
end

local function finish(parser, name)
  parser.error = fail
  parser.get_fullname = function() return name end
  parser:add_help(false):help_max_width(width()):usage_max_width(width())
  parser:help_description_margin(width() < 80 and 4 or 28)
  parser:flag("-h --help", "show this help"):action(function()
    error(setmetatable({ text = parser:get_help() .. "\n" }, Help), 0)
  end)
  return parser
end

--- Adds a sub-command to a command's parser.
-- @param name of the sub-command
-- @param summary one line
-- @param example command line without "proxylua"
function M.command(parser, name, summary, example)
  local command = finish(parser:command(name, summary), parser:get_fullname() .. " " .. name)
  if example then M.example(command, example) end
  return command
end

--- Sets the completion of an option's value or an argument.
-- @param element option or argument
-- @param words list; "files"; or a function that returns either, given the list of the words before
-- @return the element
function M.suggest(element, words)
  suggestions[element] = words
  return element
end

--- Makes an option or argument take whole numbers only.
-- @return the element
function M.whole(element)
  return element:convert(function(text)
    local number = math.tointeger(tonumber(text))
    if number then return number end
    return nil, ("%s takes a whole number, got %s"):format(element._aliases
      and element._aliases[#element._aliases] or element._argname or element._name, text)
  end)
end

--- Adds an example to the help of a parser.
function M.example(parser, ...)
  local lines = {}
  examples[parser] = { ... }
  for at, line in ipairs{ ... } do lines[at] = "  proxylua " .. line end
  return parser:epilog("Example:\n" .. table.concat(lines, "\n")
    .. "\n\nOptions that go with everything: proxylua help options")
end

-- argparse gives each name of an option with a value a line of its own.
local function label_of(option)
  local value = table.concat(option:_get_argument_list(), " ")
  return { table.concat(option._public_aliases, ", ") .. (value ~= "" and " " .. value or "") }
end

local function set_labels(parser)
  for _, option in ipairs(parser._options) do option._get_label_lines = label_of end
  for _, command in ipairs(parser._commands) do set_labels(command) end
end

--- The parser of a command.
-- @param name of the command
-- @param command module: summary, parser(parser)
-- @param flags table that the global options set
function M.build(name, command, flags)
  local argparse = require "argparse"
  local parser = finish(argparse("proxylua " .. name):description(command.summary),
    "proxylua " .. name)
  options.add_to(parser, flags)
  command.parser(parser)
  set_labels(parser)
  return parser
end

-- "order_id" -> "--order-id", if the command or its sub-command has that option.
local function option_of(parser, action, field)
  local name = "--" .. field:gsub("_", "-")
  for _, option in ipairs(parser._options) do
    for _, alias in ipairs(option._aliases) do
      if alias == name then return name end
    end
  end
  for _, command in ipairs(parser._commands) do
    if command._name == action then return option_of(command, nil, field) end
  end
end

--- A usage error of a function that names a parameter ("px.alerts: failing must be …"), in the
-- words of the command that called it ("--failing must be …"). Other values are left alone.
-- @param parser of the command
-- @param action name of the sub-command, or nil
-- @param err any value
-- @param renamed table: name of a parameter -> that of its option, where they differ; may be nil
-- @return the value
function M.with_options(parser, action, err, renamed)
  if not core.error.is(err) or err.kind ~= "usage" then return err end
  local function named(field, verb)
    local option = option_of(parser, action, renamed and renamed[field] or field)
    if option then err.endpoint = nil end
    return option and option .. " " .. verb
  end
  err.message = err.message:gsub("^[%w_.]+: ([%l_]+) (%S+)", named)
    :gsub("^(%l+) (takes) ", function(field) return named(field, "takes ") end)
    :gsub("%(([%l_]+)%)", function(field)
      local option = option_of(parser, action, field)
      return option and "(" .. option .. ")"
    end)
  return err
end

local function describe_option(option)
  return {
    names = option._aliases, value = option._maxargs > 0 and (option._argname or "VALUE") or nil,
    summary = option._description, hidden = option._hidden, suggest = suggestions[option],
  }
end

local function describe_argument(argument)
  return {
    name = argument._argname or argument._name, summary = argument._description,
    optional = argument._minargs == 0, many = argument._maxargs > 1,
      suggest = suggestions[argument],
  }
end

--- The contents of a parser as plain tables.
-- @return table: name, summary, examples, and the lists options, arguments and commands, which are
--   such tables in their turn
function M.describe(parser)
  local description = {
    name = parser._name, summary = parser._description, examples = examples[parser] or {},
    options = {}, arguments = {}, commands = {},
  }
  for at, option in ipairs(parser._options) do description.options[at] = describe_option(option) end
  for at, argument in ipairs(parser._arguments) do
    description.arguments[at] = describe_argument(argument)
  end
  for at, command in ipairs(parser._commands) do description.commands[at] = M.describe(command) end
  return description
end

-- A negative number is a value, not an option: "--quantity -5" is "--quantity=-5", and so is the
-- "-price" of "--sort -price".
local function attach_numbers(words)
  local out = {}
  for _, word in ipairs(words) do
    local before = out[#out]
    local is_value = word:find("^%-[%d.]") and before and before:find("^%-%-[%w-]+$")
      or word:find("^%-%l[%l%d_]+$") and before == "--sort"
    if is_value then
      out[#out] = before .. "=" .. word
    else
      out[#out + 1] = word
    end
  end
  return out
end

--- Reads the words that follow a command's name.
-- @return table of the results; or nil and the requested help text
-- @raise usage
function M.parse(parser, words)
  local ok, result = pcall(parser.parse, parser, attach_numbers(words))
  if ok then return result end
  if getmetatable(result) ~= Help then error(result, 0) end
  return nil, result.text
end

return M
