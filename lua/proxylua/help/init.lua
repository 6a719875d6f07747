-- Help: the overview, a command, a topic, or a function for scripts. Commands and options come from
-- the tables that the program works by, functions from the reference, and texts from docs/help.

local config = require "proxylua.settings"
local core = require "proxylua.core"
local exit_codes = require "proxylua.help.exit_codes"
local hooks = require "proxylua.util.hooks"
local names = require "proxylua.util.names"
local reference = require "proxylua.help.reference"
local terminal = require "proxylua.term.size"
local wrap = require "proxylua.term.wrap"

local M = {}

-- The modules that describe the command line.
local function command_line() return hooks.call("command_line") end

local MIN_WIDTH, MAX_WIDTH, LABEL, OVERVIEW_LABEL = 40, 100, 26, 20

--- Columns of the lines: the terminal's, within what is comfortable to read.
local function width()
  return math.max(MIN_WIDTH, math.min(MAX_WIDTH, terminal.width(1)))
end

local function add(lines, more)
  table.move(more, 1, #more, #lines + 1, lines)
end

--- Adds a label and its text, beside it where there is room.
-- @param column where the text begins (default: 26)
local function add_row(lines, label, text, column)
  local room = width()
  column = column or LABEL
  if room < 70 or utf8.len(label) > column - 4 then
    lines[#lines + 1] = "  " .. label
    return add(lines, wrap(text, room, "      ", "      "))
  end
  local start = "  " .. label .. (" "):rep(column - 2 - utf8.len(label))
  return add(lines, wrap(text, room, start, (" "):rep(column)))
end

M.width, M.add_row = width, add_row

local function add_options(lines)
  local options = command_line().options
  for _, option in ipairs(options.rows) do add_row(lines, options.label(option), option.summary) end
end

local function text_of(lines)
  return table.concat(lines, "\n") .. "\n"
end

--- The text of docs/help with this name, nil when there is none. Its lines fit 80 columns; those
-- that begin with blanks are examples and tables.
function M.page(name)
  return core.system.embedded(("docs/help/%s.txt"):format(name))
end

-- name -> table: summary, and lines, a function that returns what follows the text of docs/help.
local topics = {}
local order = {}

local function topic(name, summary, lines)
  topics[name] = { summary = summary, lines = lines }
  order[#order + 1] = name
end

local function options_lines()
  local lines = wrap("These options stand before a script's name, and before or after a command.",
    width())
  lines[#lines + 1] = ""
  add_options(lines)
  add(lines, { "", "Example:",
    "  proxylua --sandbox --spend 25 orders create --type isp --quantity 10 --json" })
  return lines
end

local function setting_text(row)
  local parts = { row.summary }
  if row.flag then parts[#parts + 1] = "--" .. row.flag end
  if row.env then parts[#parts + 1] = row.env end
  if row.default ~= nil then parts[#parts + 1] = ("default: %s"):format(row.default) end
  return table.concat(parts, "; ")
end

local function settings_lines()
  local lines = { "", "Settings:" }
  for _, row in ipairs(config.rows) do add_row(lines, row[1], setting_text(row)) end
  local path = config.path()
  lines[#lines + 1] = ""
  lines[#lines + 1] = path and "The file here: " .. path
    or "There is no file here, because HOME is not set."
  return lines
end

local function exit_codes_lines()
  local lines = { "Exit codes, and the kinds of error that they stand for:", "" }
  for _, row in ipairs(exit_codes) do add_row(lines, tostring(row[1]), row[2]) end
  return lines
end

-- Notices are shown as they are; only lines that are wider than the terminal are wrapped.
local function licences_lines()
  local lines, room = {}, width()
  for line in core.system.embedded("share/licences.txt"):gmatch("(.-)\n") do
    local indent = line:match("^ *")
    add(lines, utf8.len(line) <= room and { line } or wrap(line, room, indent, indent))
  end
  return lines
end

topic("quickstart", "the first commands")
topic("config", "the settings, and where they come from", settings_lines)
topic("money", "what may be spent, and why nothing is bought twice")
topic("limits", "how many requests are sent, and when")
topic("shell", "output for people and for programs; completion")
topic("options", "the options that go with everything", options_lines)
topic("scripts", "running scripts; cron")
topic("cron", "running from cron")
topic("examples", "short scripts")
topic("tasks", "doing many things at the same time")
topic("errors", "what calls raise, and how to handle it")
topic("exit-codes", "how a run ends", exit_codes_lines)
topic("licences", "the licences of the libraries inside the program", licences_lines)

--- The names of the topics.
function M.topics()
  return order
end

local function topic_text(name)
  local lines = topics[name].lines
  return (M.page(name) or "") .. (lines and text_of(lines()) or "")
end

local function add_params(lines, entry)
  if #entry.params == 0 then return end
  add(lines, { "", "Parameters:" })
  for _, param in ipairs(entry.params) do add_row(lines, param.name, reference.about(param)) end
end

-- What a function returns, and the fields of a record among it.
local function add_returns(lines, entry)
  if #entry.returns == 0 then return end
  add(lines, { "", "Returns:" })
  for _, result in ipairs(entry.returns) do
    add(lines, wrap(reference.about(result), width(), "  ", "  "))
  end
  for _, result in ipairs(entry.returns) do
    local record = reference.record_of(result.type)
    if record then
      add(lines, { "", ("Fields of %s:"):format(record.name) })
      for _, field in ipairs(record.fields) do
        add_row(lines, field.name, reference.about{ type = field.type, text = field.text })
      end
    end
  end
end

local function add_texts(lines, title, texts)
  if #texts == 0 then return end
  add(lines, { "", title .. ":" })
  for _, text in ipairs(texts) do add(lines, wrap(text, width(), "  ", "  ")) end
end

local function function_text(entry)
  local lines = { reference.signature(entry), "" }
  add(lines, wrap(entry.text, width()))
  add_params(lines, entry)
  add_returns(lines, entry)
  add_texts(lines, "Raises", entry.raises)
  add(lines, { "", "Example:" })
  for line in (entry.usage .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = "  " .. line end
  return text_of(lines)
end

local function first_sentence(text)
  return text:match("^(.-%.)%f[%s\0]") or text
end

-- The functions whose names begin with "px.orders."; all of them for px.
local function list_text(prefix)
  local lines = {}
  for _, entry in ipairs(reference.all()) do
    if prefix == "px" or entry.name:find(prefix .. ".", 1, true) == 1 then
      add_row(lines, entry.name, first_sentence(entry.text))
    end
  end
  if #lines == 0 then return nil end
  add(lines, { "", "In the examples, px is the module, order an order, and proxies its proxies.",
    "", "Example:", "  proxylua help px.orders.create" })
  return text_of(lines)
end

local function reference_text(name)
  local entry = reference.find(name)
  return entry and function_text(entry) or list_text(name)
end

-- The commands by what they are for; those of plugins follow.
local groups = {
  { "Every day", "orders", "check", "export", "gateway", "fleet", "renew", "status",
    "report" },
  { "Account and money", "auth", "account", "deposit", "deposits", "alerts", "notify", "journal" },
  { "Scripts", "test", "init", "types", "plugin", "bundle", "mcp", "sandbox" },
  { "Other", "config", "limits", "doctor", "help", "completion", "reference", "api" },
}

-- The options of every day; proxylua help options has all of them.
local common = { sandbox = true, spend = true, ["dry-run"] = true, json = true, quiet = true,
  verbose = true }

--- The groups of commands: lists whose first item is the title.
function M.groups()
  local list, grouped, others = {}, {}, { "From plugins" }
  for at, group in ipairs(groups) do
    list[at] = group
    for position = 2, #group do grouped[group[position]] = true end
  end
  for _, name in ipairs(command_line().commands.names()) do
    if not grouped[name] then others[#others + 1] = name end
  end
  if #others > 1 then list[#list + 1] = others end
  return list
end

local function overview()
  local lines = { "Usage: proxylua [OPTIONS] COMMAND ...",
    "       proxylua [OPTIONS] SCRIPT [ARG ...]", "" }
  add(lines, wrap("Buy, renew, check and export proxies of the 1001Proxy API, from the shell or "
    .. "from a script in Lua. Nothing is bought twice, and nothing is spent that you did not "
    .. "allow.", width()))
  local commands, options = command_line().commands, command_line().options
  for _, group in ipairs(M.groups()) do
    add(lines, { "", group[1] .. ":" })
    for at = 2, #group do
      add_row(lines, group[at], commands.summary(group[at]), OVERVIEW_LABEL)
    end
  end
  add(lines, { "", "Options (proxylua help options lists all):" })
  for _, option in ipairs(options.rows) do
    if common[option[1]] then
      add_row(lines, options.label(option), option.summary, OVERVIEW_LABEL)
    end
  end
  add(lines, { "", "More help:" })
  add_row(lines, "help COMMAND", "a command, such as proxylua help orders create", OVERVIEW_LABEL)
  add_row(lines, "help TOPIC", table.concat(order, ", "), OVERVIEW_LABEL)
  add_row(lines, "help px", "the functions for scripts", OVERVIEW_LABEL)
  add(lines, { "", "Example:", "  proxylua --sandbox --spend 25 orders create --type isp "
    .. "--quantity 2" })
  return text_of(lines)
end

local function command_text(words)
  local asked = table.move(words, 2, #words, 1, {})
  asked[#asked + 1] = "--help"
  local commands, parsers = command_line().commands, command_line().parsers
  local _, text = parsers.parse(parsers.build(words[1], commands.find(words[1]), {}), asked)
  local page = #words == 1 and M.page(words[1])
  return page and text .. "\n" .. page or text
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
  names.usage("there is no help on %s%s; proxylua help lists the topics", table.concat(words, " "),
    names.hint(table.concat(words, "-"), known, "%s", names.hint(words[1], known)))
end

-- Words for a topic or a command that has another name.
local also = {
  key = { "auth" }, login = { "auth" }, logout = { "auth" }, apikey = { "auth" },
  balance = { "account" }, buy = { "orders", "create" }, price = { "orders", "calc" },
  list = { "orders", "list" }, ls = { "orders", "list" }, proxies = { "export" },
  scrapy = { "export" }, formats = { "export" }, format = { "export" }, clash = { "export" },
  environment = { "config" }, env = { "config" }, settings = { "config" }, profile = { "config" },
  spend = { "money" }, spending = { "money" }, start = { "quickstart" }, lua = { "scripts" },
  script = { "scripts" }, json = { "shell" }, output = { "shell" },
  exit = { "exit-codes" }, codes = { "exit-codes" }, kinds = { "errors" }, pool = { "fleet" },
  pools = { "fleet" }, plugins = { "plugin" }, repl = { "shell" }, prompt = { "shell" },
}

local function find_text(words)
  if #words == 0 then return overview() end
  local name = words[1]
  local whole = table.concat(words, "-")
  if command_line().commands.find(name) then
    local lines = topics[whole] and topics[whole].lines
    return command_text(words) .. (lines and text_of(lines()) or "")
  end
  if topics[whole] then return topic_text(whole) end
  local text = reference_text(whole) or reference_text("px." .. whole)
  if text then return text end
  if also[name] and not words[2] then return find_text(also[name]) end
  return refuse(words)
end

--- The help on a subject.
-- @param words list: empty for the overview; a topic, a function, or a command and its sub-command
-- @return text
-- @raise usage
function M.text(words)
  local text = find_text(words)
  return terminal.has_utf8() and text or (text:gsub("…", "..."))
end

--- The words that completion offers next.
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
    list[#list + 1] = name
  end
  for _, entry in ipairs(reference.all()) do list[#list + 1] = entry.name end
  return list
end

return M
