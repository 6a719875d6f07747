-- What the installed plugins add to px.export and px.check: formats and rules, which run in the plugins' processes. What comes from
-- there is looked at before it counts.

local core = require "proxylua.core"
local net = require "proxylua.plugin.net"

local M = {}

local BATCH = 256        -- proxies that cross at once
local MOST_REASON = 200  -- bytes

local function entries()
  return require("proxylua.plugin.installed").entries()
end

local function instance_of(plugin)
  return require("proxylua.plugin.running").get(plugin)
end

local function fail(format, ...)
  core.error.raise{ kind = "protocol", message = format:format(...) }
end

local function sorted(list)
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

-- --- formats ---

-- A file of lines: a terminal that shows it obeys none of them.
local function check_line(plugin, line)
  if type(line) ~= "string" or line:find("[^\n\t\x20-\x7E\x80-\xFF]") then
    fail("the plugin %s answered no line of plain text for a proxy", plugin)
  end
  return line .. "\n"
end

-- Answers the lines that a plugin makes of proxies, the first of which has this number; or nil, why, and which it cannot write.
local function lines_of(plugin, name, proxies, number)
  local lines, why = instance_of(plugin):format(name, proxies, number)
  if type(lines) ~= "table" or #lines > #proxies or (why == nil and #lines < #proxies) then
    fail("the plugin %s answered no list of lines for the format %s", plugin, name)
  end
  if why ~= nil then return nil, tostring(why), #lines + 1 end
  for at, line in ipairs(lines) do lines[at] = check_line(plugin, line) end
  return table.concat(lines)
end

-- Lines come in batches: a record is answered with the text of those that were handed over with it, often none.
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
-- @return list of tables: name, plugin, summary, extension; sorted. Empty where the list of plugins cannot be read
function M.formats()
  local list, ok, all = {}, pcall(entries)
  for plugin, entry in pairs(ok and all or {}) do
    for name, row in pairs(entry.formats) do
      list[#list + 1] = { name = name, plugin = plugin, summary = row.summary, extension = row.extension }
    end
  end
  return sorted(list)
end

--- The format of a plugin, as proxylua.export knows them; nil when none has it.
-- @raise config
function M.format(name)
  for plugin, entry in pairs(entries()) do
    local row = entry.formats[name]
    if row then
      return { summary = row.summary, extension = row.extension, new = function() return writer(plugin, name) end }
    end
  end
end

-- --- rules ---

local function reason_of(answer)
  if type(answer) ~= "string" then return answer and true end
  return #answer <= MOST_REASON and utf8.len(answer) and not answer:find("%c") and answer or true
end

--- The rules of plugins.
-- @return list of tables: name, plugin, and fn as px.check.register takes it; sorted
-- @raise config
function M.rules()
  local list = {}
  for plugin, entry in pairs(entries()) do
    for name in pairs(entry.rules) do
      list[#list + 1] = { name = name, plugin = plugin, fn = function(result, answer)
        return reason_of(instance_of(plugin):rule(name, result, net.plain(answer)))
      end }
    end
  end
  return sorted(list)
end

return M
