-- `proxylua bundle app.lua -o app`: a script and all that it needs as one program.

local core = require "proxylua.core"
local names = require "proxylua.names"
local parsers = require "proxylua.cli.parser"

local M = { summary = "make one program of a script, its modules and the runtime" }

function M.parser(parser)
  parsers.suggest(parser:argument("script", "the script that the program runs"):argname("SCRIPT"), "files")
  parsers.suggest(parser:option("-o --output", "the program to write"):argname("FILE"):count(1), "files")
  parsers.suggest(parser:option("--module", "add every .lua below this folder; may come several times")
    :argname("FOLDER"):count("*"):target("modules"), "files")
  parser:option("--without", "leave this module out: it is looked for where the program runs; may come several times")
    :argname("NAME"):count("*"):target("without")
  parsers.example(parser, "bundle restock.lua -o restock", "bundle app.lua --module lib --without lfs -o app")
end

-- A program that takes the place of what it was made from is a loss.
local function check_output(path, files)
  local there = core.system.real_path(path)
  for _, file in ipairs(files) do
    if there and there == core.system.real_path(file.path) then
      names.usage("-o %s would replace what the program is made from; name another file", path)
    end
  end
end

local function manifest(files)
  return { name = "bundle.json", data = core.json.encode{ app = files[1].name, proxylua = core.version } .. "\n" }
end

function M.run(args, context)
  local screen = context.screen
  if args.script == "-" then names.usage("a bundle is made of a file; standard input is none") end
  local files, notes = require("proxylua.bundle.collect").files(args.script, args)
  check_output(args.output, files)
  files[#files + 1] = manifest(files)
  core.bundle.write(args.output, files)
  for _, note in ipairs(notes) do screen:note("%s", note) end
  screen:note("%s holds %s and %d modules; %s --proxylua-info lists them", args.output, files[1].name:match("[^/]+$"),
    #files - 2, args.output:find("/") and args.output or "./" .. args.output)
end

return M
