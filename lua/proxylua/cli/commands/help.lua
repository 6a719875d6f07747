-- `proxylua help [TOPIC]`.

local help = require "proxylua.help"
local page = require "proxylua.term.pager"
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
  page(help.text(args.topic))
end

return M
