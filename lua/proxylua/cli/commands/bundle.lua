-- `proxylua bundle app.lua -o app`: makes one program of a script and everything that it needs.

local core = require "proxylua.core"
local made_of = require "proxylua.cli.made_of"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"

local M = {}

function M.parser(parser)
  parsers.suggest(parser:argument("script", "the script that the program runs"):argname("SCRIPT"),
    "files")
  parsers.suggest(parser:option("-o --output", "the program to write"):argname("FILE"):count(1),
    "files")
  parsers.suggest(parser:option("--module",
    "add every .lua file below this folder; may be repeated")
    :argname("FOLDER"):count("*"):target("modules"), "files")
  parser:option("--without",
    "leave this module out, to be loaded where the program runs; may be repeated")
    :argname("NAME"):count("*"):target("without")
  parser:option("--plugin",
    "add this plugin: the name of an installed one, a file, or a folder; with the "
    .. "permissions that it asks for; may be repeated"):argname("PLUGIN"):count("*"):target(
    "plugins")
  parsers.example(parser, "bundle restock.lua -o restock",
    "bundle app.lua --module lib --without lfs -o app")
end

local function manifest(app, plugins)
  local content = { app = app, proxylua = core.version, plugins = plugins }
  return { name = "bundle.json", data = core.json.encode(content, { indent = 2 }) .. "\n" }
end

local function print_result(screen, output, app, modules, notes)
  for _, note in ipairs(notes) do screen:note("%s", note) end
  screen:note("%s contains %s and %d module%s; %s --proxylua-info lists them", output,
    app:match("[^/]+$"), modules,
    modules == 1 and "" or "s", output:find("/") and output or "./" .. output)
end

function M.run(args, context)
  if args.script == "-" then names.usage("a bundle is made from a file, not standard input") end
  local files, notes = require("proxylua.bundle.collect").files(args.script, args)
  local app, modules = files[1].name, #files - 1
  local bundled = require "proxylua.bundle.plugins"
  local plugins, more = bundled.collect(args.plugins)
  table.move(more, 1, #more, #files + 1, files)
  made_of.check(args.output, files)
  files[#files + 1] = manifest(app, plugins)
  core.bundle.write(args.output, files)
  local lines = bundled.describe(plugins)
  print_result(context.screen, args.output, app, modules,
    table.move(lines, 1, #lines, #notes + 1, notes))
end

return M
