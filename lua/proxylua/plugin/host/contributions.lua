-- What the installed plugins add to px.export and px.check: formats and rules, which run in the
-- plugins' processes. Their results are checked before they are used.

local core = require "proxylua.core"
local net = require "proxylua.plugin.host.net"
local plain = require "proxylua.util.text"
local tasks = require "proxylua.tasks"

local M = {}

local BATCH = 256              -- proxies in one request
-- for a batch, and for one proxy: waiting costs no processor time
local LINES_SECONDS, RULE_SECONDS = 60, 10
local MAX_FAILURES = 3        -- failures of a rule in one check
local MAX_REASON = 200        -- bytes

local function entries()
  return require("proxylua.plugin.package.installed").entries()
end

local function instance_of(plugin)
  return require("proxylua.plugin.host.running").get(plugin)
end

local function fail(format, ...)
  core.error.raise{ kind = "protocol", message = format:format(...) }
end

local function sorted(list)
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

-- A line of a file, without control characters for a terminal.
local function check_line(plugin, line)
  if type(line) ~= "string" or plain.lines(line) ~= line then
    fail("the plugin %s did not return a line of plain text for a proxy", plugin)
  end
  return line .. "\n"
end

local function ask_for_lines(plugin, name, proxies, number)
  return instance_of(plugin):format(name, proxies, number)
end

-- Returns the lines that a plugin makes of proxies, the first of which has this number; or nil, the
-- error, and the number of the failing proxy.
local function lines_of(plugin, name, proxies, number)
  local lines, why = tasks.timeout(LINES_SECONDS, ask_for_lines, plugin, name, proxies, number)
  local missing = type(lines) == "table" and #proxies - #lines
  if not missing or (why == nil and missing ~= 0) or (why ~= nil and missing <= 0) then
    fail("the plugin %s did not return a list of lines for the format %s", plugin, name)
  end
  if why ~= nil then return nil, plain.line(tostring(why)), #lines + 1 end
  for at, line in ipairs(lines) do lines[at] = check_line(plugin, line) end
  return table.concat(lines)
end

-- Lines are made in batches: a record returns the text of the finished batch, often none.
local function writer(plugin, name)
  local batch, first = {}, 1
  local function flush()
    if #batch == 0 then return "" end
    local text, why, at = lines_of(plugin, name, batch, first)
    if not text then return nil, why, batch[at], first + at - 1 end
    batch, first = {}, first + #batch
    return text
  end
  return {
    record = function(proxy)
      batch[#batch + 1] = proxy
      if #batch < BATCH then return "" end
      return flush()
    end,
    rest = flush,
  }
end

--- The formats of plugins.
-- @return list of tables: name, plugin, summary, extension; sorted. Empty if the list of plugins
--   cannot be read
function M.formats()
  local list, ok, all = {}, pcall(entries)
  for plugin, entry in pairs(ok and all or {}) do
    for name, row in pairs(entry.formats) do
      list[#list + 1] = { name = name, plugin = plugin, summary = row.summary,
        extension = row.extension }
    end
  end
  return sorted(list)
end

--- The format of a plugin, in the form of proxylua.proxies.export; nil if no plugin has it.
-- @raise config
function M.format(name)
  for plugin, entry in pairs(entries()) do
    local row = entry.formats[name]
    if row then
      return { summary = row.summary, extension = row.extension, new = function()
        return writer(plugin, name)
      end }
    end
  end
end

local function complain(format, ...)
  io.stderr:write("proxylua: ", plain.lines(format:format(...)), "\n")
end

local function ask_rule(plugin, name, result, page)
  return instance_of(plugin):rule(name, result, net.plain(page))
end

-- A rule of one check. A proxy that it could not judge has not passed. A rule that fails repeatedly
-- is skipped with a warning: the rest of the check must not depend on a plugin.
local function rule_of(plugin, name)
  local failures = 0
  return { name = name, plugin = plugin, fn = function(result, page)
    if failures >= MAX_FAILURES then return nil end
    local ok, answer = pcall(tasks.timeout, RULE_SECONDS, ask_rule, plugin, name, result, page)
    if ok then
      local reason = type(answer) == "string" and #answer <= MAX_REASON and plain.line(answer)
        or nil
      return answer and true, reason
    end
    if core.error.is(answer) and answer.kind == "cancelled" then error(answer, 0) end
    failures = failures + 1
    if failures == MAX_FAILURES then
      complain("the rule %s is skipped: it failed repeatedly", name)
    end
    if failures <= MAX_FAILURES then complain("the rule %s failed: %s", name, tostring(answer)) end
    return true, tostring(answer)
  end }
end

--- The rules of plugins, for one check.
-- @return list of tables: name, plugin, and fn(result, page), which returns whether the proxy
--   fails, and the reason; sorted
function M.rules()
  local list, ok, all = {}, pcall(entries)
  if not ok then complain("the rules of plugins are skipped: %s", tostring(all)) end
  for plugin, entry in pairs(ok and all or {}) do
    for name in pairs(entry.rules) do list[#list + 1] = rule_of(plugin, name) end
  end
  return sorted(list)
end

return M
