--- Proxies in the formats that other programs read. If a format cannot represent a proxy, the
-- export fails, names the proxy and the reason, and writes nothing: files are written whole or not
-- at all. Only the user who runs the program can read them.
-- @module px.export

local address = require "proxylua.proxies.address"
local formats = require "proxylua.formats"
local names = require "proxylua.util.names"
local orders = require "proxylua.api.endpoints".orders
local writing = require "proxylua.proxies.writing"

local M = { formats = formats.list, register = formats.register }

-- Whether a string is a proxy; otherwise it is the id of an order.
local function is_proxy(text)
  return text:find("://", 1, true) or text:find(":%d") or text:find("@", 1, true)
end

local function parse(text)
  local record, why = address.parse(text)
  return record or names.usage("not a proxy: %s", why)
end

local function source_of(proxies)
  if type(proxies) == "string" and not is_proxy(proxies) then proxies = orders.proxies(proxies) end
  if type(proxies) == "string" then proxies = { proxies } end
  if type(proxies) == "table" and proxies.host then proxies = { proxies } end
  if type(proxies) == "function" then return proxies end
  if type(proxies) ~= "table" then
    names.usage("px.export takes a list or an iterator of proxies, or the id of an order, got a %s",
      type(proxies))
  end
  local at = 0
  return function()
    at = at + 1
    return proxies[at]
  end
end

-- The records that a string in a list stands for: one, or those of an order.
local function records_of(item)
  return is_proxy(item) and { parse(item) } or orders.proxies(item)
end

local function each_record(proxies, add)
  for item in source_of(proxies) do
    if type(item) ~= "string" then
      add(item)
    else
      for _, proxy in ipairs(records_of(item)) do add(proxy) end
    end
  end
end

local function stream(proxies, name, writer, write, step)
  local add, finish, collecting = writing.start(name, writer, write, step)
  local _ <close> = collecting
  each_record(proxies, add)
  return finish()
end

--- Proxies as the text of a format.
-- @function px.export.text
-- @tparam proxy[]|string[]|proxy|string|fun():proxy? proxies records, URLs and ids of orders; one
--   record; or the id of an order
-- @param options
-- @treturn string
-- @raise usage, where the format cannot carry a proxy; what px.orders.proxies raises
-- @usage print(px.export.text(order.id, { format = "txt" }))
-- print(px.export.text(proxies, { template = "%login%:%password%@%ip%:%port%" }))
function M.text(proxies, options)
  local pieces = {}
  local writer, name = writing.writer_of("px.export.text", options)
  stream(proxies, name, writer, function(piece) pieces[#pieces + 1] = piece end)
  return table.concat(pieces)
end

--- Writes proxies to a file that only its owner can read, whole or not at all. Memory use does not
-- grow with the number of proxies. Without proxies no file is written.
-- @function px.export.file
-- @tparam proxy[]|string[]|proxy|string|fun():proxy? proxies as px.export.text has it
-- @tparam string path
-- @param options
-- @treturn integer how many proxies it has
-- @raise usage, where the format cannot carry a proxy, or with the code "empty" without proxies,
--   and the file is what it was before; store, when it cannot be written; what px.orders.proxies
--   raises
-- @usage print(px.export.file(proxies, os.tmpname(), { format = "clash" }))  --> 2
function M.file(proxies, path, options)
  local file <close> = writing.begin(path, options)
  each_record(proxies, function(proxy) file:add(proxy) end)
  return file:commit()
end

--- As px.export.text, to a function that takes it in pieces: for what goes to no file, and may be
-- large.
-- @function px.export.stream
-- @tparam proxy[]|string[]|proxy|string|fun():proxy? proxies as px.export.text has it
-- @tparam fun(text:string) write
-- @param options
-- @treturn integer how many proxies there were
-- @raise usage; what px.orders.proxies raises
-- @usage px.export.stream(proxies, io.write, { format = "env" })
function M.stream(proxies, write, options)
  local writer, name, _, wanted = writing.writer_of("px.export.stream", options)
  return stream(proxies, name, writer, write, wanted.progress)
end

return M
