--- Proxies that files hold: in any of the formats that px.export writes, in the configurations of
-- other programs, or a proxy a line as people pass them on.
-- @module px.proxies

local address = require "proxylua.proxies.address"
local core = require "proxylua.core"
local declare = require("proxylua.util.options").declare
local formats = require "proxylua.formats"
local lines = require "proxylua.util.lines"
local names = require "proxylua.util.names"
local packed = require "proxylua.proxies.packed"

local M = {}

local parse_options = declare("px.proxies.parse", {
  { "protocol", "string", "where the text does not say", default = "http" },
})

local read_options = declare("px.proxies.each", {
  { "protocol", "string", "where the file does not say", default = "http" },
  { "on_bad", "function", "called with the number of a line and what is wrong with it, and reading "
    .. "goes on", meta = "fun(line?: integer, why: string)" },
  { "on_skip", "function", "called with the number of a line and what stands there in place of a "
    .. 'proxy, such as "vless" or "title"', meta = "fun(line?: integer, what: string)" },
})

local function open(source)
  if type(source) ~= "string" then
    local given = type(source) == "table" and source.name or "the input"
    return lines.open(packed.open(source, given), given)
  end
  local name = source == "-" and "standard input" or source
  local file, why = core.file.source(source)
  if not file then names.usage("cannot read %s: %s", name, why) end
  local reader = lines.open(packed.open(file, name), name)
  if source ~= "-" then
    reader.on_close = function() file:close() end
  end
  return reader
end

local function place(reader, line)
  return line and ("%s:%d"):format(reader.name, line) or reader.name
end

-- "3 ss, 1 vless"
local function list_of(skipped)
  local list = {}
  for name, count in pairs(skipped) do list[#list + 1] = ("%d %s"):format(count, name) end
  table.sort(list)
  return table.concat(list, ", ")
end

local function refuse_empty(reader, skipped)
  local rest = list_of(skipped)
  core.error.raise{ kind = "usage", code = "empty", message = ("%s holds no proxies%s"):format(
    reader.name, rest ~= "" and (" that proxylua can use (%s)"):format(rest) or "") }
end

--- Reads proxies from a file: URLs, host:port:user:password and other shapes a line; CSV; JSON and
-- YAML; the formats of px.export; each also compressed with gzip, in UTF-16, or as a base64
-- subscription. What the file is shows in its content. Memory does not grow with the file. Every
-- line or record is returned, or reported with its place.
-- @function px.proxies.each
-- @tparam string|table|userdata source path, "-" for standard input, or a value with the method
--   read(count), such as an open file
-- @param options
-- @treturn fun():proxy?
-- @raise usage, when it cannot be read, for a file that holds no proxies, and for what is not a
--   proxy, where there is no `on_bad`
-- @usage local file = io.tmpfile()
-- file:write("10.0.0.1:8080:me:secret\n")
-- file:seek("set")
-- for proxy in px.proxies.each(file) do print(proxy.url) end  --> http://me:secret@10.0.0.1:8080
function M.each(source, given)
  local options = read_options(given)
  local reader = open(source)
  local format = formats.recognise(reader)
  if not format then
    reader:close()
    return function() end
  end
  local count, bad, skipped = 0, 0, {}
  local function skip(line, what)
    skipped[what] = (skipped[what] or 0) + 1
    if options.on_skip then options.on_skip(line, what) end
  end
  local next_record = formats.reader(format, reader, { protocol = options.protocol, skip = skip })
  return function()
    while next_record do
      local record, why, line, other, fatal = next_record()
      if record then
        count = count + 1
        return record
      elseif record == nil then
        next_record = nil
        reader:close()
        if count == 0 and bad == 0 then refuse_empty(reader, skipped) end
      elseif other then
        skip(line, other)
      else
        bad = bad + 1
        if fatal or not options.on_bad then
          names.usage("%s: %s", place(reader, line), why)
        end
        options.on_bad(line, why)
      end
    end
  end
end

--- The record of a proxy that is written as one text.
-- @function px.proxies.parse
-- @tparam string text a URL, host:port, host:port:user:password, user:password@host:port or another
--   shape of a line
-- @param options
-- @treturn proxy
-- @raise usage
-- @usage print(px.proxies.parse("10.0.0.1:8080:me:p@ss").url)  --> http://me:p%40ss@10.0.0.1:8080
function M.parse(text, options)
  local record, why = address.parse(text, parse_options(options).protocol)
  if not record then names.usage("not a proxy: %s", why) end
  return record
end

return M
