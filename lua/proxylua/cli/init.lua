-- The command line: finds the command or script, collects the settings, and sets the exit code.

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local options = require "proxylua.cli.args.options"
local plain = require "proxylua.util.text"

require "proxylua.cli.hooks"

local M = {}

local USAGE, LOCKED, FAILED = 2, 75, 1

local function looks_like_script(word)
  return word:find("/", 1, true) or word:find("%.lua$")
end

local function refuse_word(word)
  local known = {}
  for _, name in ipairs(require("proxylua.cli.commands").names()) do known[name] = true end
  require("proxylua.cli.args.words").refuse(word, known)
end

-- A command takes precedence over a script of the same name: a file in the working directory never
-- replaces a command.
local function is_command(word, flags, is_script)
  if is_script or word == "-" or looks_like_script(word) then return false end
  if require("proxylua.cli.commands").find(word) then
    if flags.execute then names.usage("-e cannot be used with a command (%s)", word) end
    return true
  end
  local kind = core.system.kind(word)
  if not kind or kind == "folder" then refuse_word(word) end
  return false
end

local function configure(flags)
  local settings = require("proxylua.cli.context").settings(flags)
  core.api.configure(settings)
  return settings
end

-- Whether the run may continue.
local function take_lock(flags)
  if not flags.lock or require("proxylua.cli.args.lock").take(flags.lock) then return true end
  if not flags.quiet then
    io.stderr:write(("proxylua: another run holds the lock %s; this one did nothing\n"):format(
      flags.lock))
  end
  core.system.set_exit_code(LOCKED)
  return false
end

local function show(text)
  core.system.write(text)
  core.system.flush()
end

local function run_command(words, flags)
  local command = require("proxylua.cli.commands").find(words[1])
  local parsers = require "proxylua.cli.args.parser"
  local parser = parsers.build(words[1], command, flags)
  local args, help = parsers.parse(parser, table.move(words, 2, #words, 1, {}))
  if help then return show(help) end
  if not take_lock(flags) then return end
  local settings = command.bare and {} or configure(flags)
  flags.reveal = args.reveal
  local screen = require("proxylua.cli.output").open(flags, settings)
  screen.shape = require("proxylua.cli.shape").of(args)
  local ok, err = pcall(command.run, args, { screen = screen, flags = flags, settings = settings })
  if not ok then error(parsers.with_options(parser, args.action or args.endpoint, err,
    command.renamed), 0) end
  core.system.flush()
end

-- A prompt, if the user can type.
local function run_session(flags)
  if not take_lock(flags) then return end
  local settings = configure(flags)
  local screen = require("proxylua.cli.output").open(flags, settings)
  settings.json, settings.profile = flags.json, flags.profile
  settings.usual_base_url = require("proxylua.settings").default_of("base_url")
  require("proxylua.repl").run(settings, screen.colors)
end

-- Code without a file of its own has `px`, loaded where it is first used.
local function provide_px()
  setmetatable(_G, { __index = function(globals, name)
    if name ~= "px" then return nil end
    local px = require "proxylua"
    rawset(globals, name, px)
    return px
  end })
end

-- Returns the script's function and its arguments. `before` is a list of what is in front of them.
local function prepare_script(words, flags, is_script, before)
  local path = words[1]
  if not path and not flags.execute then path = "-" end
  local arguments = table.move(words, 2, #words, 1, {})
  if not path or path == "-" then
    provide_px()
  elseif not is_script then
    require("proxylua.cli.script_hints").check(path, arguments, flags.quiet)
  end
  local run = require("proxylua.script").load(path, flags.execute, arguments, before)
  if not take_lock(flags) then return nil end
  configure(flags)
  return run, arguments
end

-- Like prepare_script, for the app of this bundle.
local function prepare_app(words)
  local bundled = require "proxylua.bundle.run"
  local flags, arguments, done = bundled.scan(words, options)
  if done or not take_lock(flags) then return nil end
  local run = bundled.load(arguments)
  configure(flags)
  return run, arguments
end

-- Runs the command; a script is returned, to be run where its errors have their traceback.
local function begin(given, ...)
  if core.bundle.here() then return prepare_app{ ... } end
  local all = { ... }
  local flags, words, is_script = options.scan(all)
  given.flags = flags
  local before = table.move(all, 1, #all - #words, 2, { core.system.program() })
  if words[1] and not is_script then words = require("proxylua.cli.args.words").expand(words) end
  if flags.version or (words[1] == "version" and not is_script) then
    return show(("proxylua %s (%s)\n"):format(core.version, _VERSION))
  end
  if flags.help then return require "proxylua.term.pager"(require("proxylua.help").text(words)) end
  if words[1] and is_command(words[1], flags, is_script) then return run_command(words, flags) end
  if not words[1] and not flags.execute and core.system.isatty(0) then return run_session(flags) end
  return prepare_script(words, flags, is_script, before)
end

local function line_of(err, flags, code)
  if flags.json or flags.jsonl then return require("proxylua.cli.output").error_line(err, code) end
  return ("proxylua: %s\n"):format(plain.lines((tostring(err):gsub("^" .. err.kind .. ": ", ""))))
end

-- Prints an error that no script raised and sets the exit code.
local function report(err, flags)
  if not core.error.is(err) then
    io.stderr:write("proxylua: ", plain.lines(tostring(err)), "\n")
    return core.system.set_exit_code(FAILED)
  end
  local code = err.kind == "usage" and USAGE or core.system.exit_code(err)
  if not core.system.is_closed_pipe(err) then io.stderr:write(line_of(err, flags, code)) end
  core.system.set_exit_code(code)
end

--- Runs the command line.
-- @param ... the words after the program's name
function M.main(...)
  local given = { flags = {} }
  local ok, run, arguments = pcall(begin, given, ...)
  if not ok then return report(run, given.flags) end
  if run then return run(table.unpack(arguments)) end
end

return M
