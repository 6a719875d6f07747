-- Writes the manual page, from the tables that --help and the program itself work by, and from the
--   README. build/proxylua tools/man.lua >OUTPUT

local commands = require "proxylua.cli.commands"
local config = require "proxylua.settings"
local help = require "proxylua.help"
local markdown = require "proxylua.help.markdown"
local options = require "proxylua.cli.args.options"
local parsers = require "proxylua.cli.args.parser"
local px = require "proxylua"

local WIDTH = 78 -- of the source's lines
local DATE = "2026-11-25" -- of the page's last change of form

local lines = {}

-- --- roff ---

-- Text as roff prints it as it is. What stood between backquotes is bold.
local function escape(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("%*%*", ""):gsub("…", "...")
  return (text:gsub("`([^`]*)`", "\\fB%1\\fR"))
end

local function put(format, ...)
  lines[#lines + 1] = format:format(...)
end

-- A line that begins like a request is none.
local function put_line(text)
  lines[#lines + 1] = text:gsub("^([.'])", "\\&%1")
end

local function put_text(text)
  for _, line in ipairs(markdown.wrap(escape(text), WIDTH)) do put_line(line) end
end

local function section(title)
  put(".SH %s", title)
end

local function begin_paragraph()
  if not lines[#lines]:find("^%.SH") then put(".PP") end
end

local function paragraph(text)
  begin_paragraph()
  put_text(text)
end

-- A term in bold, its value in italics, and what it is.
local function item(term, value, text)
  put(".TP")
  put("\\fB%s\\fR%s", escape(term), value and " \\fI" .. escape(value) .. "\\fR" or "")
  put_text(text)
end

local function code(text)
  begin_paragraph()
  put(".RS 4")
  put(".nf")
  for line in (text:gsub("\n$", "") .. "\n"):gmatch("(.-)\n") do
    put_line(line == "" and "\\&" or escape(line))
  end
  put(".fi")
  put(".RE")
end

-- --- the README ---

local function code_of(heading)
  return assert(help.section(heading):match("```sh\n(.-)```"))
end

local function first_paragraph(heading)
  return assert(help.section(heading):match("\n\n([^\n].-)\n\n"))
end

-- --- commands ---

local function synopsis(path, told)
  local words = { "\\fB" .. escape(path) .. "\\fR" }
  for _, argument in ipairs(told.arguments) do
    local name = "\\fI" .. escape(argument.name) .. "\\fR"
    if argument.optional then name = "[" .. name .. "]" end
    words[#words + 1] = argument.many and name .. " ..." or name
  end
  return table.concat(words, " ")
end

local function put_words(told)
  for _, argument in ipairs(told.arguments) do
    put(".RS")
    put(".TP")
    put("\\fI%s\\fR", escape(argument.name))
    put_text(argument.summary)
    put(".RE")
  end
  for _, option in ipairs(told.options) do
    if not option.hidden and option.names[1] ~= "-h" then
      put(".RS")
      item(table.concat(option.names, ", "), option.value, option.summary)
      put(".RE")
    end
  end
end

local function put_command(path, told)
  put(".TP")
  put("%s", synopsis(path, told))
  put_text(told.summary)
  put_words(told)
  for _, command in ipairs(told.commands) do put_command(path .. " " .. command.name, command) end
end

-- --- the page ---

put('.\\" Written by tools/man.lua.')
put('.TH PROXYLUA 1 %s "proxylua %s" "User Commands"', DATE, px.version)

section "NAME"
put("proxylua \\- a Lua runtime and a command line for the 1001Proxy API")

section "SYNOPSIS"
for _, line in ipairs{ "[\\fISCRIPT\\fR [\\fIARG\\fR ...]]", "\\fICOMMAND\\fR ..." } do
  begin_paragraph()
  put("\\fBproxylua\\fR [\\fIOPTIONS\\fR] %s", line)
end

section "DESCRIPTION"
paragraph(first_paragraph "proxylua")
paragraph(assert(help.section("Scripts and cron"):match("```\n\n(.*)$")))
paragraph(assert(help.section("At the shell"):match("^[^\n]*\n\n(.-)\n\n")))
paragraph("What scripts can call is told by `proxylua help px`, each function by `proxylua help "
  .. "px.map` and so on.")

section "COMMANDS"
for _, name in ipairs(commands.names(true)) do
  put_command(name, parsers.describe(parsers.build(name, commands.find(name), {})))
end

section "OPTIONS"
paragraph "These stand before a script's name, and before or after a command."
for _, row in ipairs(options.rows) do
  item((row.short and "-" .. row.short .. ", " or "") .. "--" .. row[1], row.value, row.summary)
end

section "ENVIRONMENT"
paragraph(first_paragraph "Configuration")
item("PROXYLUA_API_KEY", nil, "the API key; it is taken out of the environment at the start")
item("PROXYLUA_CONFIG", nil, "the config file, in place of the usual one")
for _, row in ipairs(config.rows) do
  if row.env then
    item(row.env, nil, row.summary .. (row.default and "; default " .. row.default or ""))
  end
end
item("PROXYLUA_NOTIFY_URL", nil,
  "whom px.notify and proxylua alerts tell, where they are given no URL")
item("NO_COLOR", nil, "when set, there are no colours")
item("COLUMNS", nil, "the width of tables and help, in place of the terminal's")
item("XDG_CONFIG_HOME, XDG_STATE_HOME", nil,
  "where the files are, in place of ~/.config and ~/.local/state")

section "FILES"
item("$XDG_CONFIG_HOME/proxylua/config.lua", nil,
  "the config file, which returns a table; see proxylua help config")
item("$XDG_STATE_HOME/proxylua/state.db", nil,
  "limits and the journal of charges, unless --store names another place")
item("$XDG_STATE_HOME/proxylua/locks", nil, "the locks of --lock")

section "EXIT STATUS"
for at, row in ipairs(markdown.rows(help.section("Exit codes"))) do
  if at > 1 then item(row[1], nil, row[2]) end
end

section "EXAMPLES"
code(code_of "At the shell")
code(code_of "Scripts and cron")

io.write(table.concat(lines, "\n"), "\n")
