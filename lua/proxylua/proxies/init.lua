--- Proxies that files hold: in any of the formats that px.export writes, or a proxy a line as
-- people pass them on.
-- @module px.proxies

local address = require "proxylua.proxies.address"
local forms = require "proxylua.formats.forms"
local lines = require "proxylua.util.lines"
local names = require "proxylua.util.names"

local M = {}

local read_options = { protocol = true, on_bad = true }

-- The form of a file, and its first line. JSON may have no lines, and hosts in brackets begin like
-- a list.
local function recognise(reader)
  local head = reader:peek()
  if head:find("^{") or head:find("^%[") and not head:find("^%[%x*:")
    and not head:find("^%[ProxyList%]") then
    return "json"
  end
  local line = reader:line()
  while line and forms.is_empty(line) do line = reader:line() end
  return line and forms.recognise(line), line
end

local function tell(reader, why)
  names.usage("%s: line %d: %s", reader.name, reader.number, why)
end

--- Reads proxies from a file: URLs; host:port:user:password or user:password@host:port a line; CSV
-- with or without a heading; JSON; and the formats of px.export. Which one it is shows in its first
-- line. What has a proxy a line is read in constant memory.
-- @function px.proxies.read
-- @param source path, "-" for standard input, or a value with the method read(count), such as an
--   open file
-- @param options table, may be left out: `protocol`, where the file does not say ("http");
--   `on_bad`, a function that is called with the number of a line and what is wrong with it, and
--   the line is passed over
-- @return iterator of proxy records: `host`, `port`, `username`, `password`, `protocol`, `url`
-- @raise usage, when it cannot be read, or for what is no proxy, where there is no `on_bad`
-- @usage local file = io.tmpfile()
-- file:write("10.0.0.1:8080:me:secret\n")
-- file:seek("set")
-- for proxy in px.proxies.read(file) do print(proxy.url) end  --> http://me:secret@10.0.0.1:8080
function M.read(source, options)
  options = options or {}
  names.check("px.proxies.read", options, read_options)
  local reader = lines.open(source)
  local form, first = recognise(reader)
  if not form then return function() end end
  local next_record = forms[form](reader, first, options.protocol)
  return function()
    while true do
      local record, why = next_record()
      if record ~= false then
        if record == nil then reader:close() end
        return record
      end
      if not options.on_bad then tell(reader, why) end
      options.on_bad(reader.number, why)
    end
  end
end

--- The record of a proxy that is written as one text.
-- @function px.proxies.parse
-- @param text string: a URL, host:port, host:port:user:password or user:password@host:port
-- @param protocol where the text does not say ("http")
-- @return record: `host`, `port`, `username`, `password`, `protocol`, `url`
-- @raise usage
-- @usage print(px.proxies.parse("10.0.0.1:8080:me:p@ss").url)  --> http://me:p%40ss@10.0.0.1:8080
function M.parse(text, protocol)
  local record, why = address.parse(text, protocol)
  if not record then names.usage("%s", why) end
  return record
end

return M
