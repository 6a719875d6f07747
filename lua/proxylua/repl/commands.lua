-- The commands of the prompt, such as :help. Each takes the session and the rest of its line.

local core = require "proxylua.core"
local help = require "proxylua.help"
local names = require "proxylua.util.names"
local tables = require "proxylua.term.table"
local wrap = require "proxylua.term.wrap"

local M = {}

local rows = {}
local by_name = {}

local function command(name, argument, summary, run)
  rows[#rows + 1] = { name = name, argument = argument, summary = summary }
  by_name[name] = run
end

local texts = {
  "Type an expression to see its value, or statements to run them. Incomplete input continues on "
    .. "the next line. px is the module, _ the last value, _error the last error. Local variables "
    .. "of an input stay available in the next ones.",
  "Calls wait for their result; tasks of px.spawn and px.every run while you type. Tab completes, "
    .. "Ctrl-R searches "
    .. "the history. Ctrl-C drops the input, or stops what runs; Ctrl-\\ ends the program at once; "
    .. "Ctrl-D leaves.",
  "Passwords of proxies are masked until :reveal, except in what your own code prints.",
}

local function add_text(lines, text)
  local more = wrap(text, help.width())
  table.move(more, 1, #more, #lines + 1, lines)
end

local function overview()
  local lines = {}
  for _, text in ipairs(texts) do add_text(lines, text) end
  lines[#lines + 1] = ""
  for _, row in ipairs(rows) do
    help.add_row(lines, ":" .. row.name .. (row.argument and " " .. row.argument or ""),
      row.summary)
  end
  lines[#lines + 1] = ""
  add_text(lines,
    "Topics (:help TOPIC) are those of proxylua help, such as config, errors, px.orders.create")
  return table.concat(lines, "\n")
end

-- The topic in a line; for a call, the name of the function.
local function topic_words(topic)
  local words = {}
  for word in topic:match("^[^({]*"):gmatch("%S+") do words[#words + 1] = word end
  return words
end

local function of_prompt(topic)
  local name = topic:match("^:?(%a+)$")
  for _, row in ipairs(rows) do
    if row.name == name and topic:find("^:") then
      return (":%s%s\n  %s"):format(name, row.argument and " " .. row.argument or "", row.summary)
    end
  end
end

command("help", "[TOPIC]", "show this help, or help on a topic or a function",
  function(session, topic)
  local found = topic == "" and overview() or of_prompt(topic)
  session.screen:line(found or help.text(topic_words(topic)):gsub("\n$", ""))
end)

command("time", "EXPR", "run an expression and show how long it took", function(session, code)
  local before, cpu = core.task.clock(), os.clock()
  session:evaluate(code)
  session.screen:note("%.3f s, %.3f s of them computing", core.task.clock() - before,
    os.clock() - cpu)
end)

command("limits", nil, "show what the rate limits allow now", function(session)
  local limits, list = session.px.limits(), {}
  for scope, row in pairs(limits) do
    if type(row) == "table" then
      row.scope = scope
      list[#list + 1] = row
    end
  end
  table.sort(list, function(a, b) return a.scope < b.scope end)
  if limits.off then
    session.screen:note("limits are off; pauses are respected")
    return session.screen:rows({ "scope", "paused" }, list)
  end
  session.screen:rows({ "scope", "requests", "seconds", "free", "waiting", "next", "paused",
    "paced" }, list)
end)

command("journal", "[STATE]", "show purchases: all, or those that are open, unknown, placed, …",
  function(session, state)
  local list = {}
  for entry in session.px.journal.each{ state = state ~= "" and state or nil } do
    local row = {}
    for _, name in ipairs(tables.known_columns("entry")) do row[name] = entry[name] end
    list[#list + 1] = row
  end
  if #list == 0 then return session.screen:note("none found") end
  session.screen:value(list)
end)

command("tasks", nil, "show the running tasks", function(session)
  local list = core.repl.tasks()
  if #list == 0 then return session.screen:note("none found") end
  table.sort(list, function(a, b) return a.number < b.number end)
  session.screen:rows({ "number", "status", "place" }, list)
end)

command("cancel", "NUMBER", "cancel a task of :tasks", function(session, number)
  if not core.repl.cancel(math.tointeger(tonumber(number))
    or names.usage(":cancel takes a number of :tasks")) then
    names.usage("task %s does not exist; :tasks shows the tasks", number)
  end
  session.screen:note("cancelled")
end)

command("load", "FILE", "run a file; its global variables stay", function(session, path)
  if path == "" then names.usage(":load takes the path of a file") end
  local home = os.getenv("HOME")
  path = home and path:gsub("^~/", function() return home .. "/" end) or path
  local code, why = core.system.read_file(path, 64 << 20)
  if not code then names.usage("cannot read %s: %s", path, why) end
  local chunk, wrong = load(code:gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", ""), "@" .. path, "t",
    session.env)
  if not chunk then error(wrong, 0) end
  chunk()
end)

command("json", "[EXPR]", "show a value as JSON; without EXPR: switch JSON on or off",
  function(session, code)
  if code ~= "" then return session:evaluate(code, true) end
  session.screen.json = not session.screen.json
  session.screen:note("values are shown as %s", session.screen.json and "JSON" or "tables")
end)

command("reveal", nil, "show passwords of proxies, or mask them again", function(session)
  session.screen.reveal = not session.screen.reveal
  session.screen:note("passwords are %s", session.screen.reveal and "shown" or "masked")
end)

command("quit", nil, "leave, as with Ctrl-D", function(session)
  session.over = true
end)

--- The names of all commands.
function M.names()
  local list = {}
  for at, row in ipairs(rows) do list[at] = row.name end
  return list
end

--- Runs a command.
-- @raise usage, with the nearest name, when there is no such command
function M.run(session, name, rest)
  if by_name[name] then return by_name[name](session, rest) end
  names.usage(":%s is not a command%s; :help shows all", name, names.hint(name, by_name, ":%s"))
end

return M
