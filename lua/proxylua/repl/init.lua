-- The prompt: reads an input, runs it in a separate task, and shows the result.

local commands = require "proxylua.repl.commands"
local complete = require "proxylua.repl.complete"
local core = require "proxylua.core"
local errors = require "proxylua.repl.errors"
local help = require "proxylua.help"
local history = require "proxylua.repl.history"
local lexer = require "proxylua.util.lua_lexer"
local names = require "proxylua.util.names"
local passwords = require "proxylua.repl.passwords"
local plain = require "proxylua.util.text"
local reader = require "proxylua.repl.reader"
local show = require "proxylua.repl.show"

local M = {}

local MORE = "..> "
local INTERRUPTED = 130

local Session = {}
Session.__index = Session

function Session:note(text)
  io.stdout:flush()
  io.stderr:write(self.screen:paint("31", core.login.scrub(self.screen:mask(text))), "\n")
end

-- Reports the first locals that are kept, since elsewhere they would be gone.
local function note_kept(session, kept)
  if session.knows_locals or #kept == 0 then return end
  session.knows_locals = true
  session.screen:note("local variables of an input stay available in the next ones, by value: %s",
    table.concat(kept, ", "))
end

--- Runs code and shows its values.
function Session:evaluate(code, as_json)
  local chunk, more = reader.compile(code, self.env, self.env, function(kept)
    note_kept(self, kept)
  end)
  if not chunk then error(more, 0) end
  self.at_error = more
  local values = table.pack(chunk())
  if values.n > 0 then rawset(self.env, "_", values[1]) end
  self.screen:values(values, as_json)
end

-- What people type to get help and to leave, as far as it has no meaning as Lua: "help", "help px",
-- "px.map?", "exit", "quit()". Returns the command and its argument.
local function bare_command(session, text)
  local word, rest = text:match("^%s*(%a+)%s*(.-)%s*$")
  local topic = text:match("^%s*([%w_.:]+)%s*%?%s*$")
  if topic then return "help", topic end
  if not word or rawget(session.env, word) ~= nil or rawget(_G, word) ~= nil then return nil end
  if (word == "exit" or word == "quit") and (rest == "" or rest == "()") then return "quit", "" end
  if word == "help" and not rest:find("^[=.:(%[,]") then return "help", rest end
end

local is_money = { balance = true, price = true, total = true, spent = true, amount = true }

-- Lua has no metamethod for == and ~= between money and a number.
local function note_comparison(session, text)
  local tokens = lexer.tokens(text)
  for at, token in ipairs(tokens) do
    local left, right = tokens[at - 1], tokens[at + 1]
    if (token.text == "==" or token.text == "~=") and left and right
      and (right.kind == "number" and is_money[left.text]
      or left.kind == "number" and is_money[tokens[at + 3] and tokens[at + 3].text or right.text])
    then
      return session:note(("money %s a number is always %s; use px.money(NUMBER), < or >"):format(
        token.text, token.text == "~="))
    end
  end
end

local function perform(session, text)
  local name, rest = reader.command(text)
  if not name then name, rest = bare_command(session, text) end
  if name then
    commands.run(session, name, rest)
  else
    note_comparison(session, text)
    session:evaluate(text)
  end
end

-- Runs a function in a task that Ctrl-C aborts. Returns the results of xpcall, and whether it was
-- aborted.
local function run(catch, fn, ...)
  local task = core.task.spawn(xpcall, fn, catch, ...)
  local interrupted = core.repl.run(task)
  local results = table.pack(pcall(task.join, task))
  if not results[1] then return false, { err = results[2] }, interrupted end
  return results[2], results[3], interrupted
end

local function text_of(err)
  if type(err) == "string" then return err end
  local ok, text = run(errors.catch, tostring, err)
  return ok and text or ("an error value of type %s"):format(type(err))
end

function Session:run(text)
  self.at_error = nil
  local ok, failure, interrupted = run(function(err)
    local failure = errors.catch(err)
    failure.kept = self.at_error and self.at_error()
    return failure
  end, perform, self, text)
  if ok then return end
  local err = failure.err
  rawset(self.env, "_error", err)
  if interrupted and (not errors.is_cancellation(err) or err.charge == "none") then
    self:note("interrupted")
  else
    self:note(errors.text(text_of(err), err, failure.traceback))
  end
  note_kept(self, failure.kept or {})
end

-- Globals are shared by all code; names of the session, and the locals that it keeps, take
-- precedence.
local function new_env(px)
  return setmetatable({ px = px }, { __index = _G, __newindex = _G })
end

local function note_failure(session, err, traceback)
  rawset(session.env, "_error", err)
  local text = type(err) == "string" and err or core.error.is(err) and tostring(err)
    or ("an error value of type %s"):format(type(err))
  session:note("a task failed: " .. errors.text(text, err, traceback))
end

-- Completion of commands and their topics, or of Lua.
local function complete_input(session, text)
  local word = text:match("^%s*:(%a*)$")
  local width = session.screen.width()
  if word then return complete.word(word, commands.names(), width) end
  local topic = text:match("^%s*:help%s+(.*)$")
  if topic then
    local taken = {}
    for before in topic:gmatch("(%S+)%s") do taken[#taken + 1] = before end
    return complete.word(topic:match("%S*$"), help.words(taken), width)
  end
  local path = text:match("^%s*:load%s+(.*)$")
  if path then return complete.path(path, width) end
  return session.complete((text:gsub("^%s*:%a+", "")), width)
end

-- An input, of several lines if the terminal itself edits them; nil after the last one.
local function read(prompt)
  local text, why = core.repl.read(prompt)
  while text and not reader.is_whole(text) do
    local line
    line, why = core.repl.read(MORE)
    text = line and text .. "\n" .. line
  end
  -- Lua counts a carriage return as the end of a line.
  return text and text:gsub("\r\n?", "\n"), why
end

-- Where requests go, and what may be spent: the sandbox or another API than the usual one, the
-- profile, the limit of the run.
local function place_of(settings)
  local parts, base = {}, settings.base_url or ""
  if settings.sandbox then
    parts[1] = "sandbox"
  elseif base ~= settings.usual_base_url then
    parts[1] = base:match("://([^/]*)")
  end
  parts[#parts + 1] = settings.profile
  local spend = settings.spend and settings.spend.per_run
  parts[#parts + 1] = spend and tostring(spend) or nil
  return table.concat(parts, ", ")
end

local function prompt_of(settings)
  local place = settings.quiet and "" or place_of(settings)
  return place == "" and "px> " or ("px (%s)> "):format(place)
end

local function greet(session, settings)
  if settings.quiet then return end
  local host = (settings.base_url or ""):match("://([^/]*)") or "the API"
  local spend = settings.spend and settings.spend.per_run
  session.screen:note("proxylua %s, %s; %s%s; %s. :help shows more, Tab completes, Ctrl-D leaves",
    core.version, _VERSION, settings.sandbox and "sandbox, money is not real" or host,
    settings.profile and ", profile " .. settings.profile or "",
    spend and ("up to %s may be spent"):format(spend) or settings.spend and "spending is limited"
      or "purchases are confirmed")
end

local function open_session(settings, colors)
  local session = setmetatable({ px = names.load(require "proxylua") }, Session)
  passwords.watch(session.px)
  session.env = new_env(session.px)
  session.complete = complete.open({ session.env, _G }, session.px)
  session.screen = show.open{
    colors = colors, json = settings.json, width = function()
      return core.system.terminal_width(1) or 80
    end,
  }
  core.repl.start{
    whole = reader.is_whole,
    complete = function(text) return complete_input(session, text) end,
    failed = function(err, traceback) note_failure(session, err, traceback) end,
  }
  session.history = history.open(function(text) session:note(text) end)
  return session
end

-- A task may end the program while a line is edited.
local function leave_tidily()
  local exit = os.exit
  function os.exit(...) -- luacheck: globals os.exit
    core.repl.restore()
    exit(...)
  end
end

-- Returns the reason for the end of the session.
local function loop(session)
  while not session.over do
    core.repl.remember(session.history.list)
    local text, why = read(session.prompt)
    if text and text:find("%S") then
      session.history:add(text)
      session:run(text)
      core.repl.failures()
    elseif not text and why == "end" then
      return why
    end
  end
end

--- Runs a session until the user leaves it.
-- @param settings table: quiet, json, sandbox, from the command line
-- @param colors boolean
function M.run(settings, colors)
  local session = open_session(settings, colors)
  leave_tidily()
  errors.spare_handlers()
  greet(session, settings)
  session.prompt = prompt_of(settings)
  if loop(session) == "end" then session.screen:line("") end
  core.repl.finish()
  if core.repl.ending() then core.system.set_exit_code(INTERRUPTED) end
end

--- Asks the user at the terminal, from any task of the session; also at the prompt, above the line.
-- Enter and the end of the input mean no.
-- @param question text, without a mark at its end
-- @return boolean
-- @raise usage outside of a session; cancelled
function M.ask(question)
  return core.repl.ask(plain.lines(question))
end

return M
