-- The commands: those of the endpoint table, one file for each of the others beside this one, and
-- those of installed plugins, which never replace another. A command is a table: summary,
-- parser(parser) adds its arguments, run(args, context) runs it. context.screen takes its output; a
-- command with `bare` needs no settings. `renamed` has the options that are not called like the
-- parameters that they set: parameter -> option, as names in Lua.

local endpoints = require "proxylua.cli.commands.endpoints"
local words = require "proxylua.cli.args.words"

local M = {}

-- Names and summaries. They stand here, so that help and completion need not load the commands.
local own = {
  { "api", "send any request to the API" },
  { "fleet", "keep a stock of proxies: plan, apply, status, adopt, release" },
  { "renew", "extend orders that expire soon" },
  { "check", "test proxies: which ones work, how fast, from which country" },
  { "export", "write proxies in the formats of other programs" },
  { "status", "show the balance, orders, pools, open charges and checks on one screen" },
  { "report", "show what was spent, and how long the balance lasts" },
  { "deposit", "show the address to pay to; wait for the money" },
  { "alerts", "send a message about a low balance, or orders that expire soon" },
  { "notify", "send a message to where alerts go" },
  { "journal", "show the journal of purchases, settle, export and prune it" },
  { "plugin", "make, test, install and manage plugins" },
  { "bundle", "make one executable file of a script" },
  { "test", "run specs of your scripts, each example against a sandbox of its own" },
  { "init", "make editors check and complete scripts: writes .luarc.json" },
  { "types", "print the types of px for lua-language-server" },
  { "mcp", "serve an agent's client (Model Context Protocol)" },
  { "sandbox", "run the emulated API on this machine" },
  { "gateway", "run a local proxy in front of your proxies" },
  { "auth", "save the API key; show whose it is; remove it" },
  { "config", "show and change settings" },
  { "limits", "show how many requests the rate limits allow now" },
  { "doctor", "check the installation, and say what to do about problems" },
  { "completion", "print completion for bash, zsh or fish" },
  { "help", "show help on a command, a topic or a function" },
}

local summaries = {}
for _, row in ipairs(own) do summaries[row[1]] = row[2] end

-- A damaged list of plugins, which `proxylua doctor` reports, does not affect the other commands.
local function plugins()
  local ok, list = pcall(function() return require("proxylua.cli.commands.plugin_run").names() end)
  return ok and list or {}
end

--- The names of all commands, in the order of the help.
-- @param core_only true: without those of plugins
function M.names(core_only)
  local list = endpoints.names()
  for _, row in ipairs(own) do list[#list + 1] = row[1] end
  for _, name in ipairs(core_only and {} or plugins()) do
    if not M.is_core(name) then list[#list + 1] = name end
  end
  return list
end

local function find_core(name)
  if not summaries[name] then return endpoints.find(name) end
  local file = name == "init" and "editor" or name -- init.lua is this file
  local command = require("proxylua.cli.commands." .. file)
  return { summary = summaries[name], bare = command.bare, renamed = command.renamed,
    parser = command.parser, run = command.run }
end

--- Whether a command of the program itself has this name.
function M.is_core(name)
  return summaries[name] ~= nil or endpoints.summary(name) ~= nil
    or words.is_reserved(name)
end

--- The summary of a command, or nil.
function M.summary(name)
  local summary = summaries[name] or endpoints.summary(name)
  if summary then return summary end
  local command = require("proxylua.cli.commands.plugin_run").find(name)
  return command and command.summary
end

--- The command of a name, or nil.
function M.find(name)
  return find_core(name) or require("proxylua.cli.commands.plugin_run").find(name)
end

return M
