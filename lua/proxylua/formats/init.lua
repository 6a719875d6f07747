-- The list of formats: the program's own, those of plugins, and those that scripts add; and how the
-- format of a file is recognised.

local hooks = require "proxylua.util.hooks"
local names = require "proxylua.util.names"

local M = {}

local formats, order = {}, {}

local function add(name, format)
  if not formats[name] then order[#order + 1] = name end
  formats[name] = format
end

for _, module in ipairs{
  "txt", "url", "csv", "json", "curl", "env", "proxychains", "scrapy", "squid", "threeproxy",
  "foxyproxy", "switchyomega", "clash", "singbox", "gost",
} do
  local format = require("proxylua.formats." .. module)
  add(format.name, format)
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
  return names.usage("there is no format %s%s; there are %s", name, names.hint(name, known),
    table.concat(list, ", "))
end

local by_extension = { json = "json", csv = "csv", txt = "url" }

-- The formats whose files usually have this extension.
local function candidates(extension)
  local list = {}
  for _, row in ipairs(M.list()) do
    local also_yaml = extension == "yml" and row.extension == "yaml"
    if row.extension == extension or also_yaml then list[#list + 1] = row.name end
  end
  return list
end

--- The name of the format that a file has by its name: json, csv, or else url.
-- @raise usage where several programs have files with such a name
function M.for_path(path)
  local extension = path:lower():match("%.(%w+)$")
  if not extension then return "url" end
  if by_extension[extension] then return by_extension[extension] end
  if extension == "gz" then
    names.usage("%s: proxylua does not compress what it writes; name the file without .gz", path)
  end
  if extension == "xlsx" or extension == "xls" or extension == "ods" then
    names.usage("%s: proxylua writes no spreadsheets; name the file .csv, which they open", path)
  end
  local list = candidates(extension)
  if extension == "conf" or extension == "cfg" or #list > 0 then
    names.usage("%s: several programs have files with the extension .%s; name the format (%s)",
      path, extension, #list > 0 and table.concat(list, ", ") or "such as squid or proxychains")
  end
  return "url"
end

local signs = { "squid", "3proxy", "proxychains", "curl", "env", "clash", "csv" }

local address = require "proxylua.proxies.address"
local fields = require "proxylua.formats.fields"
local is_empty = formats.txt.is_empty

local function is_json(head)
  return head:find("^{") or head:find("^%[%s*[%[{\"'%d%-tfn%]]") and not head:find("^%[%x*:")
    or head:find("^%[%s*$")
end

-- The format that a line shows without ambiguity.
local function sign_of(line)
  for _, name in ipairs(signs) do
    if formats[name].is_sign(line) then return name end
  end
  if address.parse(line) then return "txt" end
end

local key_alone <const> = "^%s*[\"']?[%w_.-]+[\"']?:%s*$"

-- Whether two lines are YAML together: a key with its first item, or a host and its port.
local function is_yaml(line, following)
  if line:find(key_alone) then return following:find("^%s*%- +[^%s%[]") ~= nil end
  local name, value = line:match("^([%w_ -]+): +(%S+)%s*$")
  local other = name and following:match("^([%w_ -]+): +%S")
  if not other or fields.meaning(other) ~= "port" then return false end
  local meaning = fields.meaning(name)
  return (meaning == "host" or meaning == "ip") and not value:find(":%d")
end

--- Recognises the format of a reader's input. The reader then starts from the beginning again.
-- @return name of a format; nil if the input has only blanks and comments
function M.recognise(reader)
  local something, before = false, ""
  reader:mark()
  while reader:is_near_mark() do
    local head = reader:peek()
    if head == "" then break end
    if is_json(head) then
      reader:reset()
      return "json"
    end
    local line = reader:line(true)
    if line == nil then break end
    if line == false then
      names.usage("%s:%d: the line is longer than %d bytes", reader.name, reader.number,
        require("proxylua.util.lines").longest)
    end
    if not is_empty(line) then
      something = true
      local name = is_yaml(before, line) and "clash" or sign_of(line)
      before = line
      if name then
        reader:reset()
        return name
      end
    elseif formats.csv.is_sign(line) then
      reader:reset()
      return "csv"
    end
  end
  reader:reset()
  return something and "txt" or nil
end

--- Begins to read.
-- @param name of a format
-- @param context table: `protocol`, for proxies that do not say; `skip`, a function of a line's
--   number and what stands there in place of a proxy
-- @return function as formats/txt.lua describes it
function M.reader(name, reader, context)
  return formats[name].read(reader, context)
end

--- Whether this is the name of a format of the program's own.
function M.is_own(name)
  return also[name] ~= nil or formats[name] ~= nil and not formats[name].registered
end

--- A format of px.export.
-- @record format
-- @tfield string name
-- @tfield string summary
-- @tfield string extension which files of it usually have

--- The formats that there are, those of plugins among them.
-- @function px.export.formats
-- @treturn format[]
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

--- Adds a format for as long as the program runs.
-- @function px.export.register
-- @tparam string name
-- @tparam fun(proxy:proxy,number:integer):string|nil,string? fn gets a record and its number,
--   counted from 1; returns the proxy's line, or nil and why it cannot be written
-- @raise usage
-- @usage px.export.register("hosts", function(proxy, number)
--   return number .. " " .. proxy.host
-- end)
-- print(px.export.text({ "http://10.0.0.1:80" }, { format = "hosts" }))  --> 1 10.0.0.1
function M.register(name, fn)
  if type(name) ~= "string" or not name:find("^[%w][%w._-]*$") then
    names.usage("px.export.register takes the name of a format, made of letters, digits and - . _")
  end
  if type(fn) ~= "function" then
    names.usage("px.export.register takes a function, got a %s", type(fn))
  end
  if formats[name] or also[name] then
    names.usage("px.export.register: there is a format %s already", name)
  end
  add(name, { summary = "added by a script", registered = true, new = function()
    return { record = function(proxy, index)
      local line, why = fn(proxy, index)
      return line and line .. "\n", why
    end }
  end })
end

return M
