-- `proxylua help [TOPIC]`.

local core = require "proxylua.core"
local help = require "proxylua.help"
local parsers = require "proxylua.cli.args.parser"

local M = { bare = true }

function M.parser(parser)
  local words = parser:argument("topic",
    "a command and its sub-command, a topic, or a function such as px.map")
  parsers.suggest(words:argname("TOPIC"):args("*"), help.words)
  parsers.example(parser, "help orders create", "help config", "help px.orders.create")
end

function M.run(args, context)
  context.screen:refuse_json("help")
  core.system.write(help.text(args.topic))
end

return M
