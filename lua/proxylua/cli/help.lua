-- `proxylua help [TOPIC]`: the overview, a command, or a topic, each from the tables that the program itself works by.

local core = require "proxylua.core"
local commands = require "proxylua.cli.commands"
local config = require "proxylua.config"
local names = require "proxylua.names"
local options = require "proxylua.cli.options"
local parsers = require "proxylua.cli.parser"

local M = { summary = "help on a command or a topic", bare = true }

local WIDTH = 26

local function row(label, text)
  if #label > WIDTH - 2 then return ("  %s\n  %s%s"):format(label, (" "):rep(WIDTH), text) end
  return ("  %-" .. WIDTH .. "s%s"):format(label, text)
end

local function option_lines()
  local lines = {}
  for _, option in ipairs(options.rows) do lines[#lines + 1] = row(options.label(option), option.summary) end
  return lines
end

local function command_lines()
  local lines = {}
  for _, name in ipairs(commands.names()) do lines[#lines + 1] = row(name, commands.find(name).summary) end
  return lines
end

local topics = {}

topics.options = {
  summary = "the options that go with everything",
  lines = function()
    local lines = option_lines()
    table.insert(lines, 1, "Before a script's name, and before or after a command:\n")
    lines[#lines + 1] = "\nExample:\n  proxylua --sandbox --spend 25 orders create --type isp --quantity 10 --json"
    return lines
  end,
}

topics.config = {
  summary = "the settings, and where they come from",
  lines = function()
    local lines = {
      "A flag goes before the environment, that before the config file, that before the default.",
      ("The file is %s, or what PROXYLUA_CONFIG names.\n"):format(config.path() or "not to be found without HOME"),
    }
    for _, setting in ipairs(config.rows) do
      local places = {}
      if setting.flag then places[#places + 1] = "--" .. setting.flag end
      if setting.env then places[#places + 1] = setting.env end
      if setting.default then places[#places + 1] = "default " .. setting.default end
      lines[#lines + 1] = row(setting[1], setting.summary)
      if #places > 0 then lines[#lines + 1] = row("", table.concat(places, ", ")) end
    end
    lines[#lines + 1] = row("profiles", "tables of such settings by name, chosen with --profile")
    lines[#lines + 1] = "\nExample:\n  return {\n    api_key_file = \"~/.config/proxylua/key\",\n"
      .. "    spend = { per_run = 25, per_day = 100 },\n    profiles = { quick = { timeout = 5 } },\n  }"
    return lines
  end,
}

topics.limits = {
  summary = "how requests wait, and what becomes of a 429",
  lines = function()
    return {
      "A request takes a slot of each scope that it belongs to before it leaves: general (60 in 60 seconds), and",
      "orders too (10 in 60 seconds) for POST /orders. All processes with the same key and store share them, first",
      "come first served in each process. A slot is free again a window after its request ended; what got no answer",
      "keeps it 10 seconds longer, and what was killed 10 seconds longer than its timeout. px.limits() tells what is",
      "free. One's turn is waited for as long as it takes, unless the call says max_wait.\n",
      "A 429 all the same (somebody else uses the key, or the server counts otherwise) pauses the scope for all of",
      "them, for as long as Retry-After says:\n",
      row("  seconds, or a date", "that long, an hour at most"),
      row("  absent, zero, negative", "a window of the scope (60 seconds with the limits off)"),
      row("  a date gone by", "the same"),
      row("  unreadable", "the same"),
      row("  beyond an hour", "an hour; then one request tries"),
      "\nThen one request tries; when it goes well, the scope goes on at an even pace, a little below its limit, for",
      "an hour. A pause beyond the setting max_wait (120 seconds) is an error rate_limited at once, with the figure.",
      "--limits off takes no slots and keeps the pauses.",
      "\nExample:\n  proxylua --verbose --limits general=30/60,orders=5/60 restock.lua",
    }
  end,
}

topics.errors = {
  summary = "exit codes, and the kinds of errors behind them",
  lines = function()
    return {
      "  0    done",
      "  1    the script failed: any error of Lua, usage, internal",
      "  2    the call or the configuration is wrong: usage (of a command), config",
      "  3    the API refused: auth, forbidden, not_found, invalid, funds, key_reused",
      "  4    network, upstream, store or standard output: network, timeout, protocol, upstream, rate_limited, store",
      "  5    the outcome of a charge is unknown: outcome_unknown",
      "  6    spending refused: spend_refused",
      "  75   another run holds the lock of --lock",
      "  130  interrupted: cancelled",
      "\nExample:\n  proxylua --quiet restock.lua || echo \"restocking ended with $?\"",
    }
  end,
}

local function overview()
  local lines = {
    "Usage: proxylua [OPTIONS] [SCRIPT [ARG …]]",
    "       proxylua [OPTIONS] COMMAND …\n",
    "Runs Lua scripts that buy, renew, check and export proxies of the 1001Proxy API; calls it by commands too.",
    "A word with a slash or .lua is a script; any other is a command before it is a script; - is standard input.\n",
    "Commands:",
  }
  table.move(command_lines(), 1, #commands.names(), #lines + 1, lines)
  lines[#lines + 1] = "\nOptions:"
  local rows = option_lines()
  table.move(rows, 1, #rows, #lines + 1, lines)
  lines[#lines + 1] = "\nTopics (proxylua help TOPIC):"
  for _, name in ipairs{ "options", "config", "limits", "errors" } do
    lines[#lines + 1] = row(name, topics[name].summary)
  end
  lines[#lines + 1] = "\nExample:\n  proxylua --sandbox --spend 25 scripts/quickstart.lua"
  lines[#lines + 1] = "  proxylua orders list --status active"
  return lines
end

local function command_help(words)
  local command = commands.find(words[1])
  local asked = table.move(words, 2, #words, 1, {})
  asked[#asked + 1] = "--help"
  local _, text = parsers.parse(parsers.build(words[1], command, {}), asked)
  return text
end

local function refuse(topic)
  local known = {}
  for name in pairs(topics) do known[name] = true end
  for _, name in ipairs(commands.names()) do known[name] = true end
  local nearest = names.nearest(topic, known)
  names.usage("there is no help on %s%s; proxylua help shows what there is", topic,
    nearest and (", did you mean %s?"):format(nearest) or "")
end

--- The help that some words ask for.
-- @param words list: nothing, a topic, or a command and its sub-command
-- @return text
-- @raise usage
function M.text(words)
  local topic = words[1]
  if not topic then return table.concat(overview(), "\n") .. "\n" end
  if topics[topic] then return table.concat(topics[topic].lines(), "\n") .. "\n" end
  if commands.find(topic) then return command_help(words) end
  return refuse(topic)
end

function M.parser(parser)
  parser:argument("topic", "a command, perhaps with its sub-command, or options, config, limits, errors"):args("*")
  parsers.example(parser, "help orders create", "help config")
end

function M.run(args)
  core.system.write(M.text(args.topic))
end

return M
