-- `proxylua plugin`: makes, tests, packs, installs and manages plugins.

local core = require "proxylua.core"
local installed = require "proxylua.plugin.package.installed"
local made_of = require "proxylua.cli.made_of"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local permissions = require "proxylua.plugin.package.permissions"
local plain = require "proxylua.util.text"
local sources = require "proxylua.plugin.package.source"
local lists = require "proxylua.util.list"

local M = { bare = true }

local FAILED, UNSOUND = 1, 2 -- exit codes
local SPEND = "1000"         -- sandbox money for tests

local function known_names()
  return installed.names()
end

local function add_place(command, summary)
  return parsers.suggest(command:argument("place", summary):argname("FILE|DIR|URL"), "files")
end

local function add_name(command, summary)
  return parsers.suggest(command:argument("name", summary):argname("NAME"), known_names)
end

local function add_yes(command)
  command:option("--sha256", "required SHA-256 of the archive"):argname("HEX")
  command:flag("--yes", "grant all permissions that it asks for, without a question")
end

local function add_making(parser)
  parsers.command(parser, "new", "create a working plugin to start from", "plugin new restocker")
    :argument("name", "name of the plugin and its folder"):argname("NAME")
  local test = parsers.command(parser, "test",
    "run the plugin's specs against the emulated API",
    "plugin test restocker")
  parsers.suggest(test:argument("folder",
    "folder of the plugin (default: .)"):argname("DIR"):args("?"), "files")
  local pack = parsers.command(parser, "pack",
    "pack a plugin into one file, without hidden files and spec/; the result is "
    .. "reproducible", "plugin pack restocker -o restocker.plx")
  parsers.suggest(pack:argument("folder", "folder of the plugin"):argname("DIR"), "files")
  parsers.suggest(pack:option("-o --output",
    "file to write (default: NAME-VERSION.plx)"):argname("FILE"),
    "files")
end

function M.parser(parser)
  parser:require_command(true):command_target("action")
  add_making(parser)
  local install = parsers.command(parser, "install", "show a plugin's permissions, ask, and "
    .. "install it",
    "plugin install restocker-1.0.0.plx")
  add_place(install, "folder, file or URL of the plugin; a URL must be https or loopback")
  add_yes(install)
  local link = parsers.command(parser, "link",
    "install a plugin as a link to its folder, for work on it: each run reads its present files",
    "plugin link restocker")
  parsers.suggest(link:argument("folder", "folder of the plugin (default: .)"):argname("DIR")
    :args("?"), "files")
  link:flag("--yes", "grant all permissions that it asks for, without a question")
  parsers.command(parser, "list", "list the installed plugins", "plugin list")
  local info = parsers.command(parser, "info", "show a plugin's contents and permissions",
    "plugin info restocker")
  parsers.suggest(info:argument("place", "name of an installed plugin, or its file, folder or "
    .. "URL"):argname("NAME|FILE"),
    known_names)
  add_name(parsers.command(parser, "remove", "remove a plugin", "plugin remove "
    .. "restocker"), "name of the plugin")
  local verify = parsers.command(parser, "verify", "check whether installed plugins are unchanged",
    "plugin verify")
  add_name(verify, "name of the plugin (default: all)"):args("?")
  local update = parsers.command(parser, "update",
    "update a plugin; asks only if it needs more permissions",
    "plugin update restocker restocker-1.1.0.plx")
  add_name(update, "which"):args("?")
  add_place(update, "folder, file or URL (default: where it was installed from)"):args("?")
  update:flag("--all", "update all plugins from where they were installed from")
  add_yes(update)
  parsers.example(parser,
    "plugin install https://example.com/restocker-1.0.0.plx --sha256 9f86d08…")
end

local function title_of(manifest)
  return ("%s %s: %s"):format(manifest.name, manifest.version, manifest.description)
end

local function may_lines(words)
  if #words == 0 then return { "It can only compute, and may do nothing else." } end
  local lines = { "It may" }
  for at, text in ipairs(words) do
    lines[at + 1] = ("  - %s%s"):format(text, at < #words and ";" or ".")
  end
  return lines
end

local function print_lines(...)
  for _, line in ipairs{ ... } do io.stderr:write(line, "\n") end
end

-- Only the reply of a user counts, who has seen the text above.
local function ask(question, yes)
  if yes then return end
  if not (core.system.isatty(0) and core.system.isatty(2)) then
    names.usage("cannot ask for confirmation without a terminal; --yes grants the permissions")
  end
  io.stderr:write(question, " [y/N] ")
  local answer = io.read("l")
  if not (answer and answer:find("^%s*[yY]")) then
    core.error.raise{ kind = "cancelled", message = "not installed: not confirmed" }
  end
end

local actions = {}

function actions.new(args, screen)
  require("proxylua.plugin.package.template").write(args.name, args.name)
  screen:note("created %s/; run proxylua plugin test %s", args.name, args.name)
end

-- A separate emulated API, independent of the user's settings.
local function configure(flags)
  local copy = {}
  for name, value in pairs(flags) do copy[name] = value end
  copy.sandbox, copy.base_url, copy.spend = true, nil, flags.spend or SPEND
  core.api.configure(require("proxylua.cli.context").settings(copy, { without_file = true }))
end

function actions.test(args, screen, flags)
  local folder = args.folder or "."
  if core.system.kind(folder) ~= "folder" then names.usage("the folder %s does not "
    .. "exist", folder) end
  local plugin = sources.of_folder(folder)
  configure(flags)
  local rows = {}
  local passed, failed = require("proxylua.plugin.package.tester").run(plugin, folder,
    require("proxylua.plugin.host").start,
    function(name, problem)
    rows[#rows + 1] = { example = name, state = problem and "failed" or "passed" }
    if problem then print_lines(("%s: %s"):format(name, problem)) end
  end)
  screen:list(nil, rows)
  screen:note("%d passed, %d failed", passed, failed)
  if failed > 0 or passed == 0 then core.system.set_exit_code(FAILED) end
end

function actions.pack(args, screen)
  local plugin = sources.of_folder(args.folder)
  local bytes = core.archive.write(plugin.files)
  local path = args.output or ("%s-%s.plx"):format(plugin.manifest.name, plugin.manifest.version)
  made_of.check(path, plugin.files)
  local packed = sources.of_bytes(bytes, path) -- a plugin that cannot be installed is not packed
  core.system.write_file(path, bytes)
  screen:record(nil, { file = path, size = #bytes, sha256 = packed.sha256 })
end

local function check(manifest)
  require("proxylua.plugin.package.manifest").check_runtime(manifest)
  installed.check_alone(manifest.name, manifest)
end

function actions.install(args, screen)
  local plugin = sources.open(args.place, args.sha256)
  local manifest = plugin.manifest
  check(manifest)
  local before = installed.entries()[manifest.name]
  if before then
    names.usage("%s %s is already installed; use proxylua plugin update %s %s", manifest.name,
      before.version,
      manifest.name, args.place)
  end
  if not (args.yes and screen.quiet) then
    print_lines(title_of(manifest), table.unpack(may_lines(permissions.words(manifest))))
  end
  ask("Install it?", args.yes)
  installed.install(plugin, nil)
  screen:note("installed %s %s", manifest.name, manifest.version)
end

-- Asks for permissions that it was not granted before.
local function ask_for_growth(before, manifest, question, yes)
  local growth = permissions.growth(before, manifest)
  if #growth == 0 then return end
  print_lines(title_of(manifest), "It needs more permissions than before.",
    table.unpack(may_lines(growth)))
  ask(question, yes)
end

function actions.link(args, screen)
  local plugin = sources.of_folder(args.folder or ".")
  local manifest = plugin.manifest
  check(manifest)
  local before = installed.entries()[manifest.name]
  if before then
    ask_for_growth(before, manifest, "Link it?", args.yes)
  else
    print_lines(title_of(manifest), table.unpack(may_lines(permissions.words(manifest))))
    ask("Link it?", args.yes)
  end
  installed.link(plugin, before)
  screen:note("%s is linked to %s; proxylua plugin remove %s ends that", manifest.name, plugin.from,
    manifest.name)
end

local function update(name, place, args, screen)
  local before = installed.entry(name)
  local plugin = sources.open(place or before.from, args.sha256)
  local manifest = plugin.manifest
  if manifest.name ~= name then
    names.usage("%s is the plugin %s, not %s", plugin.from, manifest.name, name)
  end
  check(manifest)
  local is_same = installed.describe(plugin).digest == before.digest and not before.link
  if is_same and not installed.verify(name) then
    return screen:note("%s %s is up to date", name, before.version)
  end
  ask_for_growth(before, manifest, "Update it?", args.yes)
  installed.install(plugin, before)
  local version = manifest.version
  screen:note("updated %s %s", name, version == before.version and version
    or ("from %s to %s"):format(before.version, version))
end

-- A plugin whose source is gone does not hold back the others.
local function update_all(args, screen)
  local left, kind = {}, nil
  for _, name in ipairs(installed.names()) do
    local ok, err = pcall(update, name, nil, args, screen)
    if not ok and (not core.error.is(err) or err.kind == "cancelled") then error(err, 0) end
    if not ok then
      print_lines(("proxylua: %s: %s"):format(name, plain.lines(err.message)))
      left[#left + 1], kind = name, kind or err.kind
    end
  end
  if kind then
    core.error.raise{ kind = kind, message = "not updated: " .. table.concat(left, ", ") }
  end
end

function actions.update(args, screen)
  if args.all then
    if args.name then names.usage("name a plugin, or use --all") end
    update_all(args, screen)
  else
    update(args.name or names.usage("name a plugin, or use --all"), args.place, args, screen)
  end
end

function actions.remove(args, screen)
  installed.remove(args.name)
  screen:note("removed %s", args.name)
end

function actions.list(_, screen)
  local rows, entries = {}, installed.entries()
  for at, name in ipairs(installed.names()) do
    local entry = entries[name]
    rows[at] = {
      name = name, version = entry.version, commands = table.concat(entry.commands, " "),
      events = table.concat(entry.on, " "), description = entry.description, link = entry.link,
    }
  end
  screen:list("plugin", rows)
end

local function find(place)
  local entry = installed.entries()[place]
  if not entry then return sources.open(place).manifest end
  return installed.open(place).manifest, entry.from
end

-- pairs() in the order of the names.
local function sorted(values)
  local keys, at = lists.keys(values), 0
  return function()
    at = at + 1
    return keys[at], values[keys[at]]
  end
end

function actions.info(args, screen)
  local manifest, from = find(args.place)
  local words = permissions.words(manifest)
  if screen.form ~= "table" and screen.form ~= "plain" then
    manifest.from, manifest.may = from, core.json.array(words)
    return screen:record(nil, manifest)
  end
  local lines = { title_of(manifest), from and "Installed from " .. from or "Not installed.",
    table.unpack(may_lines(words)) }
  for name, command in sorted(manifest.commands) do
    lines[#lines + 1] = ("proxylua %s %s: %s"):format(manifest.name, name, command.summary)
  end
  for name, row in sorted(manifest.formats) do
    lines[#lines + 1] = ("proxylua export --format %s: %s"):format(name, row.summary)
  end
  for name, row in sorted(manifest.rules) do
    lines[#lines + 1] = ("The rule %s: %s"):format(name, row.summary)
  end
  for event in sorted(manifest.on) do
    lines[#lines + 1] = ("It is notified of %s."):format(event)
  end
  screen:text(table.concat(lines, "\n") .. "\n")
end

function actions.verify(args, screen)
  local rows = {}
  for at, name in ipairs(args.name and { args.name } or installed.names()) do
    installed.entry(name)
    local problem = installed.verify(name)
    rows[at] = { name = name, state = problem and "unsound" or "sound", problem = problem }
    if problem then core.system.set_exit_code(UNSOUND) end
  end
  screen:list("plugin", rows)
end

function M.run(args, context)
  actions[args.action](args, context.screen, context.flags)
end

return M
