-- `proxylua doctor`: checks the installation. The checks are in doctor_checks.lua.

local checks = require "proxylua.cli.commands.doctor_checks"
local core = require "proxylua.core"
local parsers = require "proxylua.cli.args.parser"
local terminal = require "proxylua.term.size"
local wrap = require "proxylua.term.wrap"

local M = { bare = true }

local LABEL = 26

function M.parser(parser)
  parsers.example(parser, "doctor", "doctor --json")
end

local colors = { ok = "\27[32m", warn = "\27[33m", fail = "\27[31m" }

-- "warn  clock            9 s behind the server's", and the advice below.
local function show(screen, finding)
  local room = math.max(40, terminal.width(1))
  local indent = room < 70 and 6 or 6 + LABEL
  local start = ("%-4s  "):format(finding.state) .. finding.check
  local label = room < 70 and start .. ": " or start .. (" "):rep(math.max(1, indent - #start))
  local lines = wrap(finding.text, room, label, (" "):rep(indent))
  if finding.advice then
    for _, line in ipairs(wrap(finding.advice, room, (" "):rep(indent) .. "> ",
      (" "):rep(indent + 2))) do
      lines[#lines + 1] = line
    end
  end
  if screen.colors then lines[1] = lines[1]:gsub("^%l+", colors[finding.state] .. "%0\27[0m") end
  core.system.write(table.concat(lines, "\n"), "\n")
  core.system.flush()
end

local function counted(count, what)
  return ("%d %s%s"):format(count, what, count == 1 and "" or "s")
end

local function run(context)
  local screen = context.screen
  if screen.form == "table" then
    local count = { ok = 0, warn = 0, fail = 0 }
    local code = checks.run(context.flags, function(finding)
      show(screen, finding)
      count[finding.state] = count[finding.state] + 1
    end)
    screen:note("%d ok, %s, %s", count.ok, counted(count.warn, "warning"),
      counted(count.fail, "failure"))
    return code
  end
  local findings = {}
  local code = checks.run(context.flags, function(finding) findings[#findings + 1] = finding end)
  if screen.form == "json" then
    screen:record(nil, { code = code, findings = core.json.array(findings) })
  else
    screen:list("finding", findings)
  end
  return code
end

function M.run(_, context)
  core.system.set_exit_code(run(context))
end

return M
