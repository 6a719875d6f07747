-- `proxylua types`: prints the annotations of px for lua-language-server.

local core = require "proxylua.core"
local parsers = require "proxylua.cli.args.parser"

local M = { bare = true }

function M.parser(parser)
  parsers.example(parser, "types >proxylua.lua")
end

function M.run(_, context)
  context.screen:refuse_json("types")
  core.system.write(require("proxylua.help.types").text())
end

return M
