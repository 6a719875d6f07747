-- Help: the overview, a command, a topic, or a function that scripts call. Commands and options
-- come from the tables that the program works by, topics from the README, functions from the
-- reference.

local config = require "proxylua.settings"
local core = require "proxylua.core"
local hooks = require "proxylua.util.hooks"
local markdown = require "proxylua.help.markdown"
local names = require "proxylua.util.names"
local reference = require "proxylua.help.reference"
local terminal = require "proxylua.term.size"

local M = {}

-- The modules that describe the command line.
local function command_line() return hooks.call("command_line") end

local NARROWEST, WIDEST, LABEL = 40, 100, 26

--- Columns of the lines: the terminal's, but no more than people like to read.
local function width()
  return math.max(NARROWEST, math.min(WIDEST, terminal.width(1)))
end

-- --- lines ---

local function add(lines, more)
  table.move(more, 1, #more, #lines + 1, lines)
end

--- A label and its text, which stands beside it where there is room.
local function add_row(lines, label, text)
  local room = width()
  if room < 70 or utf8.len(label) > LABEL - 4 then
    lines[#lines + 1] = "  " .. label
    return add(lines, markdown.wrap(text, room, "      ", "      "))
  end
  local start = "  " .. label .. (" "):rep(LABEL - 2 - utf8.len(label))
  return add(lines, markdown.wrap(text, room, start, (" "):rep(LABEL)))
end

M.width, M.add_row = width, add_row

local function add_options(lines)
  local options = command_line().options
  for _, option in ipairs(options.rows) do add_row(lines, options.label(option), option.summary) end
end

local function text_of(lines)
  return table.concat(lines, "\n") .. "\n"
end

-- --- topics ---

-- Heading of the README, or a function that answers lines.
local topics = {}
local order = {}

local function topic(name, summary, source)
  topics[name] = { summary = summary, source = source }
  order[#order + 1] = name
end

local function options_topic()
  local lines = markdown.wrap("Before a script's name, and before or after a command:", width())
  lines[#lines + 1] = ""
  add_options(lines)
  add(lines, { "", "Example:",
    "  proxylua --sandbox --spend 25 orders create --type isp --quantity 10 --json" })
  return lines
end

local function config_path()
  return { "", ("Here the file is %s."):format(config.path() or "not to be found without HOME") }
end

-- Notices are shown as they are; only what is too wide for the terminal is wrapped.
local function licences_topic()
  local lines, room = {}, width()
  for line in core.system.embedded("share/licences.txt"):gmatch("(.-)\n") do
    local indent = line:match("^ *")
    add(lines, utf8.len(line) <= room and { line } or markdown.wrap(line, room, indent, indent))
  end
  return lines
end

topic("options", "the options that go with everything", options_topic)
topic("scripts", "running scripts; cron", "Scripts and cron")
topic("examples", "the API by example", "The API by example")
topic("deposit", "where to pay, and which network", "Deposits")
topic("alerts", "what is told to whom, by cron or systemd", "Alerts")
topic("errors", "what calls raise, and how a run ends", "Errors")
topic("exit-codes", "the exit codes alone", "Exit codes")
topic("tasks", "many things at once", "Tasks")
topic("limits", "how many requests leave, and when", "Limits and money")
topic("money", "what may be spent, and what a lost answer means", "Limits and money")
topic("journal", "what was bought, and what nobody knows", "The journal")
topic("plugins", "adding commands and functions that others have made", "Plugins")
topic("config", "the settings, and where they come from", "Configuration")
topic("sandbox", "the emulated API", "The sandbox")
topic("bundle", "one program of a script and all that it needs", "Bundles")
topic("licences", "the licences of what is inside the program", licences_topic)
topic("shell", "completion, the manual page, doctor, pipes", "At the shell")

--- The names of the topics.
function M.topics()
  return order
end

--- What the README says under a heading, as Markdown.
function M.section(heading)
  return assert(markdown.section(core.system.embedded("README.md"), heading),
    "the README has no section " .. heading)
end

local function topic_text(name)
  local source = topics[name].source
  if type(source) == "function" then return text_of(source()) end
  local text = markdown.render(M.section(source), width())
  return name == "config" and text .. text_of(config_path()) or text
end

-- --- functions ---

local function add_params(lines, entry)
  if #entry.params == 0 then return end
  add(lines, { "", "Parameters:" })
  for _, param in ipairs(entry.params) do add_row(lines, param.name, param.text) end
end

local function add_texts(lines, title, texts)
  if #texts == 0 then return end
  add(lines, { "", title .. ":" })
  for _, text in ipairs(texts) do add(lines, markdown.wrap(text, width(), "  ", "  ")) end
end

local function function_text(entry)
  local lines = { reference.signature(entry), "" }
  add(lines, markdown.wrap(entry.text, width()))
  add_params(lines, entry)
  add_texts(lines, "Returns", entry.returns)
  add_texts(lines, "Raises", entry.raises)
  add(lines, { "", "Example:" })
  for line in (entry.usage .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = "  " .. line end
  return text_of(lines)
end

local function first_sentence(text)
  return text:match("^(.-%.)%f[%s\0]") or text
end

-- Those whose names begin with "px.orders." or, for px, all.
local function list_text(prefix)
  local lines = {}
  for _, entry in ipairs(reference.all()) do
    if prefix == "px" or entry.name:find(prefix .. ".", 1, true) == 1 then
      add_row(lines, entry.name, first_sentence(entry.text))
    end
  end
  if #lines == 0 then return nil end
  add(lines, { "", "In the examples px is the module, and order an order whose proxies are in "
    .. "proxies.", "", "Example:",
    "  proxylua help px.orders.create" })
  return text_of(lines)
end

local function reference_text(name)
  local entry = reference.find(name)
  return entry and function_text(entry) or list_text(name)
end

-- --- all of it ---

local function overview()
  local lines = { "Usage: proxylua [OPTIONS] [SCRIPT [ARG …]]",
    "       proxylua [OPTIONS] COMMAND …", "" }
  add(lines, markdown.wrap(
    "Runs Lua scripts that buy, renew, check and export proxies of the 1001Proxy API; calls it "
    .. "by commands too. A word with a slash or .lua is a script; any other is a command before it "
    .. "is a script; - is "
    .. "standard input.", width()))
  add(lines, { "", "Commands:" })
  local commands = command_line().commands
  for _, name in ipairs(commands.names()) do add_row(lines, name, commands.find(name).summary) end
  add(lines, { "", "Options:" })
  add_options(lines)
  add(lines, { "", "Topics (proxylua help TOPIC):" })
  for _, name in ipairs(order) do add_row(lines, name, topics[name].summary) end
  add_row(lines, "px, px.orders.create", "what scripts can call, and each of its functions")
  add(lines, { "", "Example:", "  proxylua --sandbox --spend 25 scripts/quickstart.lua",
    "  proxylua orders list --status active" })
  return text_of(lines)
end

local function command_text(words)
  local asked = table.move(words, 2, #words, 1, {})
  asked[#asked + 1] = "--help"
  local commands, parsers = command_line().commands, command_line().parsers
  local _, text = parsers.parse(parsers.build(words[1], commands.find(words[1]), {}), asked)
  return text
end

local function known_words()
  local known = {}
  for name in pairs(topics) do known[name] = true end
  for _, name in ipairs(command_line().commands.names()) do known[name] = true end
  for _, entry in ipairs(reference.all()) do
    known[entry.name] = true
    -- "px.orders", of which there is a list
    known[entry.name:match("^px%.%w+%f[.]") or entry.name] = true
  end
  return known
end

local function refuse(words)
  local known = known_words()
  local nearest = names.nearest(table.concat(words, "-"), known) or names.nearest(words[1], known)
  names.usage("there is no help on %s%s; proxylua help shows what there is",
    table.concat(words, " "),
    nearest and (", did you mean %s?"):format(nearest) or "")
end

--- The help that some words ask for.
-- @param words list: nothing, a topic, a function, or a command and its sub-command
-- @return text
-- @raise usage
function M.text(words)
  if #words == 0 then return overview() end
  local name = words[1]
  local whole = table.concat(words, "-")
  local parts = {}
  if topics[whole] then parts[1] = topic_text(whole) end
  if command_line().commands.find(name) then parts[#parts + 1] = command_text(words) end
  parts[1] = parts[1] or reference_text(whole) or reference_text("px." .. whole)
  return #parts > 0 and table.concat(parts, "\n") or refuse(words)
end

--- What completion offers behind the words that are there.
-- @param taken list
-- @return list
function M.words(taken)
  local command = #taken == 1 and command_line().commands.find(taken[1])
  if command then
    local list = {}
    local parsers = command_line().parsers
    for at, sub in ipairs(parsers.describe(parsers.build(taken[1], command, {})).commands) do
      list[at] = sub.name
    end
    return list
  end
  local list = table.move(order, 1, #order, 1, {})
  for _, name in ipairs(command_line().commands.names()) do
    if not topics[name] then list[#list + 1] = name end
  end
  for _, entry in ipairs(reference.all()) do list[#list + 1] = entry.name end
  return list
end

return M
