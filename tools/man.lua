-- Writes the manual pages: proxylua.1, and one for each command. They are made from the tables that
-- the program works by, and from docs/help.
--   build/proxylua tools/man.lua FOLDER

local commands = require "proxylua.cli.commands"
local config = require "proxylua.settings"
local exit_codes = require "proxylua.help.exit_codes"
local help = require "proxylua.help"
local options = require "proxylua.cli.args.options"
local parsers = require "proxylua.cli.args.parser"
local px = require "proxylua"
local wrap = require "proxylua.term.wrap"

local WIDTH = 78 -- of the source's lines
local DATE = "2026-11-29"

local lines

-- Text that roff prints unchanged. Text between backquotes is bold.
local function escape(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("…", "...")
  return (text:gsub("`([^`]*)`", "\\fB%1\\fR"))
end

local function put(format, ...)
  lines[#lines + 1] = format:format(...)
end

-- A line that begins with a dot or a quote would be a request.
local function put_line(text)
  lines[#lines + 1] = text:gsub("^([.'])", "\\&%1")
end

local function put_text(text)
  for _, line in ipairs(wrap(escape(text), WIDTH)) do put_line(line) end
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

-- A term in bold, its value in italics, and what it is.
local function item(term, value, text)
  put(".TP")
  put("\\fB%s\\fR%s", escape(term), value and " \\fI" .. escape(value) .. "\\fR" or "")
  put_text(text)
end

-- A text of docs/help: paragraphs; those that begin with blanks are examples, and those that begin
-- with a number are items of a list.
local function page(text)
  for block in (text:gsub("\n+$", "") .. "\n\n"):gmatch("(.-)\n\n") do
    if block:find("^ ") then
      code((("\n" .. block):gsub("\n    ", "\n"):sub(2)))
    elseif block:find("^%d%. ") then
      for number, words in (block .. "\n0."):gmatch("(%d)%. (.-)\n%f[%d\0]") do
        put(".IP %s. 4", number)
        put_text(words)
      end
    else
      paragraph(block)
    end
  end
end

-- --- commands ---

local function synopsis(path, about)
  local words = { "\\fB" .. escape(path) .. "\\fR" }
  for _, argument in ipairs(about.arguments) do
    local name = "\\fI" .. escape(argument.name) .. "\\fR"
    if argument.optional then name = "[" .. name .. "]" end
    words[#words + 1] = argument.many and name .. " ..." or name
  end
  return table.concat(words, " ")
end

local function put_words(about)
  for _, argument in ipairs(about.arguments) do
    put(".TP")
    put("\\fI%s\\fR", escape(argument.name))
    put_text(argument.summary)
  end
  for _, option in ipairs(about.options) do
    if not option.hidden and option.names[1] ~= "-h" then
      item(table.concat(option.names, ", "), option.value, option.summary)
    end
  end
end

local function has_words(about)
  for _, option in ipairs(about.options) do
    if not option.hidden and option.names[1] ~= "-h" then return true end
  end
  return #about.arguments > 0
end

local function put_examples(about)
  local examples = {}
  local function add(one)
    for _, example in ipairs(one.examples) do examples[#examples + 1] = "proxylua " .. example end
    for _, command in ipairs(one.commands) do add(command) end
  end
  add(about)
  section "EXAMPLES"
  code(table.concat(examples, "\n"))
end

local function put_commands(path, about)
  for _, command in ipairs(about.commands) do
    put(".SS %s", synopsis(path .. " " .. command.name, command):gsub("^\\fB(.-)\\fR", "%1"))
    put_text(command.summary:gsub("^%l", string.upper) .. ".")
    put_words(command)
  end
end

local function begin(name, summary)
  lines = {}
  put('.\\" Written by tools/man.lua.')
  put('.TH %s 1 %s "proxylua %s" "User Commands"', name:upper():gsub("%-", "\\-"), DATE, px.version)
  section "NAME"
  put_text(("%s - %s"):format(name, summary))
end

local function command_page(name)
  local path, command = "proxylua " .. name, commands.find(name)
  local about = parsers.describe(parsers.build(name, command, {}))
  begin("proxylua-" .. name, command.summary)
  section "SYNOPSIS"
  if #about.commands == 0 then put("%s [\\fIOPTIONS\\fR]", synopsis(path, about)) end
  for at, sub in ipairs(about.commands) do
    if at > 1 then put(".br") end
    put("%s", synopsis(path .. " " .. sub.name, sub))
  end
  section "DESCRIPTION"
  page(help.page(name) or command.summary:gsub("^%l", string.upper) .. ".\n")
  if has_words(about) then
    section "OPTIONS"
    put_words(about)
  end
  if #about.commands > 0 then
    section "COMMANDS"
    put_commands(path, about)
  end
  put_examples(about)
  section "SEE ALSO"
  put("\\fBproxylua\\fR(1) has the options that go with everything, and the exit codes.")
end

-- --- the program ---

local function environment()
  section "ENVIRONMENT"
  item("PROXYLUA_API_KEY", nil, "the API key; it is removed from the environment at the start")
  item("PROXYLUA_CONFIG", nil, "another configuration file")
  for _, row in ipairs(config.rows) do
    if row.env then
      item(row.env, nil, row.summary .. (row.default and " (default: " .. row.default .. ")" or ""))
    end
  end
  item("PROXYLUA_NOTIFY_URL", nil, "where px.notify and proxylua alerts send messages")
  item("NO_COLOR", nil, "if set, there are no colours")
  item("COLUMNS", nil, "width of tables and help, in place of the terminal's")
  item("XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_DATA_HOME", nil,
    "folders of the configuration, of the store, and of plugins (default: ~/.config, "
    .. "~/.local/state and ~/.local/share)")
end

local function files()
  section "FILES"
  item("$XDG_CONFIG_HOME/proxylua/config.lua", nil,
    "the configuration; see proxylua help config")
  item("$XDG_STATE_HOME/proxylua/state.db", nil,
    "the store: rate limits and the journal of purchases")
  item("$XDG_STATE_HOME/proxylua/locks", nil, "the locks of --lock")
end

local function main_page()
  begin("proxylua", "buy, renew, check and export proxies of the 1001Proxy API")
  section "SYNOPSIS"
  put("\\fBproxylua\\fR [\\fIOPTIONS\\fR] \\fICOMMAND\\fR ...")
  put(".br")
  put("\\fBproxylua\\fR [\\fIOPTIONS\\fR] [\\fISCRIPT\\fR [\\fIARG\\fR ...]]")
  section "DESCRIPTION"
  page(assert(help.page "scripts"))
  for _, name in ipairs{ "money", "limits", "shell" } do
    section(name:upper())
    page(assert(help.page(name)))
  end
  section "COMMANDS"
  for _, group in ipairs(help.groups()) do
    put(".SS %s", group[1])
    for at = 2, #group do
      if commands.is_core(group[at]) then
        item(("proxylua-%s(1)"):format(group[at]), nil, commands.summary(group[at]))
      end
    end
  end
  section "OPTIONS"
  paragraph "These options stand before a script's name, and before or after a command."
  for _, row in ipairs(options.rows) do
    item((row.short and "-" .. row.short .. ", " or "") .. "--" .. row[1], row.value, row.summary)
  end
  environment()
  files()
  section "EXIT STATUS"
  for _, row in ipairs(exit_codes) do item(tostring(row[1]), nil, row[2]) end
  section "EXAMPLES"
  page(assert(help.page "examples"))
end

local function write(name)
  local file <close> = assert(io.open(("%s/%s.1"):format(arg[1], name), "w"))
  assert(file:write(table.concat(lines, "\n"), "\n"))
end

main_page()
write "proxylua"
for _, name in ipairs(commands.names(true)) do
  command_page(name)
  write("proxylua-" .. name)
end
