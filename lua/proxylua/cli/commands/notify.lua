-- `proxylua notify`: sends a message to where alerts go.

local notify = require "proxylua.notify"
local parsers = require "proxylua.cli.args.parser"

local M = { bare = true }

--- Adds the options that say where a message goes.
function M.add_receiver(parser, otherwise)
  parser:option("--url", "receiver: the URL of Slack, Discord, Telegram, or of any server that "
    .. "accepts JSON (default: PROXYLUA_NOTIFY_URL, which is not visible to other users"
    .. otherwise .. ")"):argname("URL")
  local kind = parser:option("--kind",
    "json, slack, discord or telegram (default: by the host of the URL)")
  parsers.suggest(kind:argname("KIND"), { "json", "slack", "discord", "telegram" })
  parser:option("--chat", "chat id for Telegram"):argname("ID")
end

function M.parser(parser)
  parser:argument("text", "the message"):argname("TEXT")
  M.add_receiver(parser, "")
  parsers.example(parser, 'notify "the fleet is stocked"')
end

function M.run(args, context)
  local kind = notify.notify{ text = args.text, url = args.url, kind = args.kind,
    chat = args.chat }
  context.screen:note("sent (%s)", kind)
end

return M
