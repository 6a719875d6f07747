-- A program that contains an app: all words are the app's, except options at the front that begin
-- with --proxylua-.

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local script = require "proxylua.script"

local M = {}

local PREFIX = "--proxylua-"

local forms = { "%s.lua", "%s/init.lua" }

-- A searcher for package.searchers.
local function search(module)
  local relative = module:gsub("%.", "/")
  for _, form in ipairs(forms) do
    local path = form:format(relative)
    local text = core.bundle.read("modules/" .. path)
    if text then return script.compile(text, path), ":bundle:" .. path end
  end
  return ("no module '%s' in the bundle"):format(module)
end

-- After the modules of the program, before the file system.
local function add_searcher()
  table.insert(package.searchers, 3, search)
end

local function manifest()
  return core.json.decode(core.bundle.read("bundle.json"))
end

local function files_inside()
  local files = core.bundle.files()
  for _, file in ipairs(files) do file.sha256 = core.digest.sha256(core.bundle.read(file.name)) end
  return files
end

local function list_files(files)
  local lines = {}
  for _, file in ipairs(files) do
    lines[#lines + 1] = ("%s %9d  %s\n"):format(file.sha256, file.size, file.name)
  end
  core.system.write(table.concat(lines))
end

local function show_info(flags)
  local made, files = manifest(), files_inside()
  if flags.json or flags.jsonl then
    made.files = files
    return core.system.write(core.json.encode(made), "\n")
  end
  core.system.write(("%s, with proxylua %s inside (%s)\n\n"):format(made.app:match("[^/]+$"),
    made.proxylua, _VERSION))
  list_files(files)
  local plugins = require("proxylua.bundle.plugins").describe(made.plugins)
  if #plugins > 0 then core.system.write("\n", table.concat(plugins, "\n"), "\n") end
end

local function show_licences()
  core.system.write(core.system.embedded("share/licences.txt"))
end

local usage = [[
This program contains a Lua script and proxylua, the runtime for the 1001Proxy API. Settings come from the environment and
from the config file, as for proxylua. All words after the program's name go to the script, except these at the front:

  --proxylua-info [--proxylua-json]   list the files inside, with sizes and SHA-256
  --proxylua-licences                 show the licences of the contents
  --proxylua-help, --proxylua-version
]]

local function show_help(options)
  local lines = { usage }
  for _, row in ipairs(options.rows) do
    if not row.script then
      local value = row.value and " " .. row.value or ""
      lines[#lines + 1] = ("  %s%s%s\n      %s\n"):format(PREFIX, row[1], value, row.summary)
    end
  end
  core.system.write(table.concat(lines))
end

-- These need no settings.
local function show(flags, options)
  if flags.info then show_info(flags)
  elseif flags.licences then show_licences()
  elseif flags.help then show_help(options)
  elseif flags.version then core.system.write(("proxylua %s (%s)\n"):format(core.version, _VERSION))
  else return false end
  core.system.flush()
  return true
end

--- Reads the words of the command line.
-- @param words list
-- @param options proxylua.cli.args.options
-- @return table of flags
-- @return list of the app's arguments
-- @return whether the run is complete: the requested information has been shown
-- @raise usage
function M.scan(words, options)
  local flags, arguments = options.scan_prefixed(words, PREFIX)
  if flags.execute then
    names.usage("%sexecute is for proxylua itself; this program runs its own script", PREFIX)
  end
  return flags, arguments, show(flags, options)
end

--- The app's function, to be called with its arguments.
-- @raise config when the app's files have changed; or the text of a syntax error
function M.load(arguments)
  local name = manifest().app
  local chunk = script.compile(core.bundle.read(name), name:match("[^/]+$"))
  add_searcher()
  script.prepare(core.bundle.here(), arguments, {})
  return chunk
end

return M
