-- Which commands there are: those of the endpoint table, and one file each beside this one.
-- A command is a table: summary, parser(parser) adds its words, run(args, context) does it. context.screen takes its output;
-- a command with `bare` needs no settings.

local endpoints = require "proxylua.cli.endpoints"

local M = {}

local own = { "api", "journal", "bundle", "sandbox", "doctor", "completion", "help" }

--- The names of all commands, in the order of the help.
function M.names()
  local list = endpoints.names()
  table.move(own, 1, #own, #list + 1, list)
  return list
end

--- The command of a name, or nil.
function M.find(name)
  for _, word in ipairs(own) do
    if word == name then return require("proxylua.cli." .. name) end
  end
  return endpoints.find(name)
end

return M
