-- Which formats there are: the program's own, those of plugins, and those that scripts add.

local hooks = require "proxylua.util.hooks"
local names = require "proxylua.util.names"

local M = {}

local formats, order = {}, {}

local function add(name, format)
  if not formats[name] then order[#order + 1] = name end
  formats[name] = format
end

for _, family in ipairs{
  { "lists", "txt", "url", "csv" }, { "objects", "json" },
    { "programs", "curl", "env", "proxychains" },
  { "lists", "scrapy" }, { "programs", "squid", "3proxy" },
    { "objects", "foxyproxy", "switchyomega" },
  { "clients", "clash", "sing-box", "gost" },
} do
  local module = require("proxylua.formats." .. family[1])
  for at = 2, #family do add(family[at], module[family[at]]) end
end

local also = { mihomo = "clash", zeroomega = "switchyomega", ["proxychains-ng"] = "proxychains",
  singbox = "sing-box" }

--- A format by its name.
-- @raise usage, which names the nearest; config
function M.find(name)
  if type(name) ~= "string" then
    names.usage("the format of an export is a name, got a %s", type(name))
  end
  local format = formats[name] or formats[also[name]] or hooks.call("format", name)
  if format then return format end
  local known, list = {}, {}
  for at, row in ipairs(M.list()) do known[row.name], list[at] = true, row.name end
  local nearest = names.nearest(name, known)
  return names.usage("there is no format %s%s; there are %s", name,
    nearest and (", did you mean %s?"):format(nearest) or "", table.concat(list, ", "))
end

--- Whether this is the name of a format of the program's own.
function M.is_own(name)
  return also[name] ~= nil or formats[name] ~= nil and not formats[name].registered
end

--- The formats that there are, those of plugins among them.
-- @function px.export.formats
-- @return list of tables: `name`, `summary` and `extension`, which files of it usually have
-- @usage for _, format in ipairs(px.export.formats()) do print(format.name, format.summary) end
function M.list()
  local list = {}
  for at, name in ipairs(order) do
    local format = formats[name]
    list[at] = { name = name, summary = format.summary or "", extension = format.extension
      or "txt" }
  end
  for _, row in ipairs(hooks.call("formats") or {}) do
    local extra = { name = row.name, summary = row.summary, extension = row.extension }
    if not formats[row.name] then list[#list + 1] = extra end
  end
  return list
end

--- Adds a format, or puts another in the place of one, for as long as the program runs.
-- @function px.export.register
-- @param name string
-- @param fn function of a proxy's record and its number, counted from 1; it answers the proxy's
--   line, or nil and why it cannot be written
-- @raise usage
-- @usage px.export.register("hosts", function(proxy, number)
--   return number .. " " .. proxy.host
-- end)
-- print(px.export.text({ "http://10.0.0.1:80" }, "hosts"))  --> 1 10.0.0.1
function M.register(name, fn)
  if type(name) ~= "string" or not name:find("^[%w][%w._-]*$") then
    names.usage("px.export.register takes the name of a format, made of letters, digits and - . _")
  end
  if type(fn) ~= "function" then
    names.usage("px.export.register takes a function, got a %s", type(fn))
  end
  add(name, { summary = "added by a script", registered = true, new = function()
    return { record = function(proxy, index)
      local line, why = fn(proxy, index)
      return line and line .. "\n", why
    end }
  end })
end

return M
