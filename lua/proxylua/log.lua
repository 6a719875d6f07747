--- Messages of scripts and plugins to the user, by level.
-- @module px.log

local core = require "proxylua.core"
local plain = require "proxylua.util.text"
local settings = require "proxylua.settings"
local time = require "proxylua.util.time"

local M = {}

local ranks = { debug = 1, info = 2, warn = 3, error = 4 }
local prefixes = { debug = "debug: ", info = "", warn = "warning: ", error = "error: " }

--- Whether the run shows messages of a level; one that is not known counts as info.
function M.shows(level)
  local least = settings.flag("quiet") and ranks.error or settings.flag("verbose") and ranks.debug
    or ranks.info
  return (ranks[level] or ranks.info) >= least
end

--- What stands before the text of a message.
function M.prefix(level)
  return prefixes[level] or ""
end

--- A message as a JSON object in a line, nil unless --log-format asks for it.
-- @param plugin that logs, nil for the script
function M.json(level, text, plugin)
  if settings.flag("log_format") ~= "json" then return nil end
  if not utf8.len(text) then text = text:gsub("[\x80-\xFF]", "?") end
  return plain.json(core.json.encode{
    time = time.date(math.floor(core.task.now() * 1000) / 1000), plugin = plugin,
    level = ranks[level] and level or "info", message = text,
  }) .. "\n"
end

local function print_message(level, ...)
  if not M.shows(level) then return end
  local text = plain.values(...)
  io.stderr:write(M.json(level, text) or prefixes[level] .. plain.lines(text) .. "\n")
end

M.functions = {}

--- Prints a message for the user on standard error, with --verbose only.
-- @function px.log.debug
-- @tparam any ... values, as print takes them
-- @usage px.log.debug("the order has", order.quantity, "proxies")
function M.functions.debug(...) print_message("debug", ...) end

--- Prints a message for the user on standard error, but not with --quiet.
-- @function px.log.info
-- @tparam any ... values, as print takes them
-- @usage if false then px.log.info("bought", order.id) end
function M.functions.info(...) print_message("info", ...) end

--- Prints a warning for the user on standard error, as "warning: TEXT", but not with --quiet.
-- @function px.log.warn
-- @tparam any ... values, as print takes them
-- @usage if px.account.get().balance < 20 then px.log.warn("the balance is low") end
function M.functions.warn(...) print_message("warn", ...) end

--- Prints an error for the user on standard error, as "error: TEXT", also with --quiet. The script
-- goes on; px.error.raise ends it.
-- @function px.log.error
-- @tparam any ... values, as print takes them
-- @usage local _, err = px.try(px.orders.get, order.id)
-- if err then px.log.error(err) end
function M.functions.error(...) print_message("error", ...) end

return M
