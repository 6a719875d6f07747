-- `proxylua test`: runs specs of the user's scripts, each example against a sandbox of its own.

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local plain = require "proxylua.util.text"
local tasks = require "proxylua.tasks"

local M = {}

local FAILED <const> = 1 -- exit code
local MARK <const> = "\0proxylua test\0" -- before the result of an example
local FOLDERS <const> = { "spec", "." }
local ENDED <const> = "the example ended its process with exit code %d"

function M.parser(parser)
  parsers.suggest(parser:argument("files", "files of specs (default: *_spec.lua in spec/ and here)")
    :argname("FILE"):args("*"), "files")
  parser:option("--filter", "only examples with this text in their title"):argname("TEXT")
  parsers.whole(parser:option("--concurrency", "examples to run at once (default: 2)")
    :argname("NUMBER"))
  parser:option("--timeout-each", "time for one example (default: 1m)"):argname("DURATION")
    :target("limit")
  parsers.whole(parser:option("--example", "run this one in this process"):argname("NUMBER"))
    :hidden(true)
  parsers.example(parser, "test", "test spec/restock_spec.lua --filter 'buys nothing'")
end

local function files_here()
  local list = {}
  for _, folder in ipairs(FOLDERS) do
    for _, item in ipairs(core.folder.list(folder) or {}) do
      if item.kind == "file" and item.name:find("_spec%.lua$") then
        list[#list + 1] = folder == "." and item.name or folder .. "/" .. item.name
      end
    end
  end
  table.sort(list)
  if #list == 0 then
    names.usage("no specs: name their files, or let their names end in _spec.lua, here or in spec/")
  end
  return list
end

-- In the process of one example: runs it and prints its result.
local function run_here(args)
  local state, err = require("proxylua.testing").run(args.files[1], args.example)
  core.system.write(MARK, core.json.encode({ state = state, error = err }, { bytes = "escape" }))
  core.system.flush()
end

-- The settings of the user do not matter to specs.
local function words_of(file, number)
  return { "-u", "PROXYLUA_CONFIG", "XDG_CONFIG_HOME=/dev/null",
    core.system.real_path("/proc/self/exe"), "--sandbox", "--limits", "off", "--spend", "1000000",
    "test", file, "--example", tostring(number) }
end

local function run_example(example, limit)
  local px = require "proxylua"
  local began = core.task.clock()
  local result, err = px.try(px.exec, "env", words_of(example.file, example.number),
    { timeout = limit })
  example.seconds = core.task.clock() - began
  if not result then
    example.state, example.error = "failed", err.message
    return example
  end
  local output, found = result.output:match("^(.*)" .. MARK .. "(.*)$")
  example.output = output or result.output
  if not found then
    example.state, example.error = "failed", ENDED:format(result.code)
    return example
  end
  local value = core.json.decode(found)
  example.state, example.error = value.state, value.error
  return example
end

local function collect(files, filter)
  local list = {}
  for _, file in ipairs(files) do
    for number, one in ipairs(require("proxylua.testing").read(file)) do
      if not filter or one.name:find(filter, 1, true) then
        list[#list + 1] = { file = file, number = number, name = one.name }
      end
    end
  end
  if #list == 0 then names.usage("no example matches") end
  return list
end

local function show(screen, example)
  if screen:is_data() then return end
  local mark = example.state == "passed" and "ok" or example.state
  core.system.write(("%-8s%s: %s\n"):format(mark, plain.line(example.file),
    plain.line(example.name)))
  if example.output and example.output ~= "" then
    core.system.write(plain.lines(example.output), example.output:find("\n$") and "" or "\n")
  end
  if example.error then
    core.system.write("        ", (plain.lines(example.error):gsub("\n", "\n        ")), "\n")
  end
  core.system.flush()
end

function M.run(args, context)
  if args.example then return run_here(args) end
  local screen = context.screen
  local examples = collect(#args.files > 0 and args.files or files_here(), args.filter)
  local counts = { passed = 0, failed = 0, pending = 0 }
  tasks.map(examples, function(example)
    run_example(example, args.limit or "1m")
    counts[example.state] = counts[example.state] + 1
    show(screen, example)
  end, { concurrency = args.concurrency or 2, results = false })
  if screen:is_data() then
    for _, example in ipairs(examples) do example.number = nil end
    screen:list(nil, examples)
  end
  screen:note("%d passed, %d failed, %d pending", counts.passed, counts.failed, counts.pending)
  if counts.failed > 0 then core.system.set_exit_code(FAILED) end
end

return M
