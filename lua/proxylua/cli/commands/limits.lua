-- `proxylua limits`: what the rate limits allow now.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local parsers = require "proxylua.cli.args.parser"

local M = {}

function M.parser(parser)
  parsers.example(parser, "limits", "limits --json")
end

local function state_of(scope)
  if scope.paused > 0 then return "paused by the API for " .. duration.text(scope.paused) end
  if scope.paced > 0 then return "slowed down for " .. duration.text(scope.paced) end
  return "normal"
end

function M.run(_, context)
  local limits, list = core.api.limits(), {}
  for name, scope in pairs(limits) do
    if type(scope) == "table" then
      scope.scope, scope.state = name, state_of(scope)
      scope.seconds, scope.next = math.tointeger(scope.seconds) or scope.seconds,
        math.ceil(scope.next)
      list[#list + 1] = scope
    end
  end
  table.sort(list, function(a, b) return a.scope < b.scope end)
  if limits.off then context.screen:note("limits are off; a pause of the API still holds") end
  context.screen:list("limit", list)
end

return M
