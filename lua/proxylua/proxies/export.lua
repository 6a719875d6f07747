--- Proxies in the formats that other programs read. What a format cannot carry is refused, with the
-- proxy and the reason, before anything is there: files are written whole or not at all, and nobody
-- else can read them.
-- @module px.export

local core = require "proxylua.core"
local address = require "proxylua.proxies.address"
local formats = require "proxylua.formats"
local names = require "proxylua.util.names"
local orders = require "proxylua.api.endpoints".orders
local template = require "proxylua.formats.template"

local M = { formats = formats.list, register = formats.register }

-- pieces that are put together before they are written, and bytes of one that is not kept
local BATCH, LARGE = 512, 4096

-- --- what is exported ---

-- A text that is no proxy is the id of an order.
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

-- The records that a text in a list stands for: one, or those of an order.
local function records_of(item)
  return is_proxy(item) and { parse(item) } or orders.proxies(item)
end

local protocols = { http = true, https = true, socks4 = true, socks4a = true, socks5 = true,
  socks5h = true }
local integer, find_text = math.type, string.find

-- Records that somebody made by hand may be wrong in every way; those of the API are looked at too.
-- Answers a record that formats can rely on, which is the same one where nothing has to change.
local function checked(proxy, index)
  if type(proxy) ~= "table" then
    names.usage("proxy %d is a %s, and no record", index, type(proxy))
  end
  local host, port, user, password = proxy.host, proxy.port, proxy.username, proxy.password
  if user ~= nil and type(user) ~= "string" or password ~= nil and type(password) ~= "string" then
    names.usage("proxy %d: its username or its password is no text", index)
  end
  if protocols[proxy.protocol] and integer(port) == "integer" and port > 0 and port < 65536
    and type(host) == "string" and find_text(host, "^%w[%w.-]*$") then
    return proxy
  end
  local copy = {}
  for name, value in pairs(proxy) do copy[name] = value end
  local complete, why = address.complete(copy)
  return complete or names.usage("proxy %d: %s", index, why)
end

local function refuse(name, proxy, index, why)
  names.usage("proxy %d (%s:%d) cannot be written as %s: %s", index, address.host(proxy.host),
    proxy.port, name,
    why or "the format answered nothing")
end

-- --- writing it ---

local MANY = 5000 -- records, from which on the choice of the collector is worth its price

-- Records and their lines die young: the generational collector takes a third of the time. What was
-- chosen before comes back.
local collector = {
  __index = { prefer_young = function(self) self.before = collectgarbage("generational") end },
  __close = function(self)
    if self.before == "incremental" then collectgarbage("incremental") end
  end,
}

-- Begins to write in pieces.
-- @return function(item) that adds a record, or a text that stands for some; function that ends the
--   whole and returns how many proxies it has
local function begin(name, writer, write, step)
  local parts, filled, count = { writer.head }, writer.head and 1 or 0, 0
  local record = writer.record
  local collecting = setmetatable({}, collector)
  local function emit(piece)
    filled = filled + 1
    parts[filled] = piece
    if filled < BATCH and #piece < LARGE then return end
    write(table.concat(parts, "", 1, filled))
    filled = 0
    if step then step(count) end
  end
  -- A writer that puts several together says which of them it cannot write.
  local function take(proxy, piece, why, culprit, number)
    if not piece then refuse(name, culprit or proxy, number or count, why) end
    emit(piece)
  end
  local function add_record(item)
    count = count + 1
    if count == MANY then collecting:prefer_young() end
    local proxy = checked(item, count)
    take(proxy, record(proxy, count))
  end
  local function add(item)
    if type(item) ~= "string" then return add_record(item) end
    for _, proxy in ipairs(records_of(item)) do add_record(proxy) end
  end
  local function finish(refuse_empty)
    if count == 0 and refuse_empty then refuse_empty() end
    if writer.rest then take(nil, writer.rest()) end
    if writer.tail then writer.tail(count, emit) end
    write(table.concat(parts, "", 1, filled))
    if step then step(count) end
    return count
  end
  return add, finish, collecting
end

local function stream(proxies, name, writer, write, step)
  local add, finish, collecting = begin(name, writer, write, step)
  local _ <close> = collecting
  for item in source_of(proxies) do add(item) end
  return finish()
end

local known = { format = true, template = true, url = true, progress = true, allow_empty = true }

-- The writer of a format, and what the format is called.
local function writer_of(caller, name, options)
  options = options or {}
  if type(options) ~= "table" then
    names.usage("%s takes its options as a table, got a %s", caller, type(options))
  end
  names.check(caller, options, known)
  if options.template then return template.format(options.template).new(), "the template" end
  local format = formats.find(name or options.format or "url")
  if options.url and not (format.options and format.options.url) then
    names.usage("%s: the option \"url\" belongs to the format curl", caller)
  end
  return format.new(options), name or options.format or "url", format
end

--- Proxies as the text of a format.
-- @function px.export.text
-- @param proxies list or iterator of records, URLs and ids of orders; one record; or the id of an
--   order
-- @param format string, one of px.export.formats ("url")
-- @param options table, may be left out: `template`, a line of one's own in place of a format, such
--   as "%login%:%password%@%ip%:%port%"; `url`, for the format curl: what each of several proxies
--   is to fetch
-- @return string
-- @raise usage, where the format cannot carry a proxy; what px.orders.proxies raises
-- @usage print(px.export.text(order.id, "txt"))
-- print(px.export.text(proxies, nil, { template = "%login%:%password%@%ip%:%port%" }))
function M.text(proxies, format, options)
  local pieces = {}
  local writer, name = writer_of("px.export.text", format, options)
  stream(proxies, name, writer, function(piece) pieces[#pieces + 1] = piece end)
  return table.concat(pieces)
end

local File = { __close = function(self) self:close() end }
File.__index = File

-- Adds a record, or a text that stands for some. Raises usage for what the format cannot carry.
function File:add(item) self.add_item(item) end

-- Why a file is not written; nil where it may be.
local function why_not_empty(self)
  if self.format and self.format.never_empty then
    return ("an empty %s would let programs go past the proxies"):format(self.name)
  end
  if not self.allow_empty then
    return "there are no proxies to write (the option allow_empty writes an empty file)"
  end
end

-- Gives the file its name.
-- @return how many proxies it has
-- @raise usage with the code "empty" without proxies; store
function File:commit()
  local count = self.finish(function()
    local why = why_not_empty(self)
    if not why then return end
    core.error.raise{ kind = "usage", code = "empty", message = ("%s was not written: %s"):format(
      self.path, why) }
  end)
  self.file:commit()
  return count
end

function File:close()
  self.file:close()
  getmetatable(self.collecting).__close(self.collecting)
end

-- A private function of the program: begins a file; options as px.export.file has them.
-- @return value with the methods add, commit and close
function M.begin(path, options)
  if type(path) ~= "string" then
    names.usage("px.export.file takes the path of a file, got a %s", type(path))
  end
  options = options or {}
  local format = type(options) == "table" and not options.format and not options.template
    and formats.for_path(path, "px.export.file") or nil
  local writer, name, of = writer_of("px.export.file", format, options)
  local self = setmetatable({ path = path, name = name, format = of,
    allow_empty = options.allow_empty, file = core.file.create(path) }, File)
  self.add_item, self.finish, self.collecting = begin(name, writer, function(piece)
    self.file:write(piece)
  end, options.progress)
  return self
end

--- Writes proxies to a file, whole or not at all, which nobody else can read. It takes constant
-- memory, however many an iterator gives. Without proxies nothing is written.
-- @function px.export.file
-- @param proxies as px.export.text has it
-- @param path string
-- @param options table, may be left out: `format` (by the name of the file: json, csv, else url);
--   `template` and `url` as px.export.text has them; `allow_empty=true` writes a file without
--   proxies too
-- @return integer, how many proxies it has
-- @raise usage, where the format cannot carry a proxy, or with the code "empty" without proxies, and
--   the file is what it was before; store, when it cannot be written; what px.orders.proxies
--   raises
-- @usage print(px.export.file(proxies, os.tmpname(), { format = "clash" }))  --> 2
function M.file(proxies, path, options)
  local file <close> = M.begin(path, options)
  for item in source_of(proxies) do file:add(item) end
  return file:commit()
end

--- As px.export.text, to a function that takes it in pieces: for what goes to no file, and may be
-- large.
-- @function px.export.stream
-- @param proxies as px.export.text has it
-- @param write function of a text
-- @param options table, as px.export.file has it
-- @return integer, how many proxies there were
-- @raise usage; what px.orders.proxies raises
-- @usage px.export.stream(proxies, io.write, { format = "env" })
function M.stream(proxies, write, options)
  local writer, name = writer_of("px.export.stream", nil, options)
  return stream(proxies, name, writer, write, options and options.progress)
end

return M
