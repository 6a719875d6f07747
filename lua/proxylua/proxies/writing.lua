-- Writing proxies in a format, piece by piece, to a function or to a file that is written whole or
-- not at all.

local core = require "proxylua.core"
local declare = require("proxylua.util.options").declare
local address = require "proxylua.proxies.address"
local formats = require "proxylua.formats"
local names = require "proxylua.util.names"
local template = require "proxylua.formats.template"

local M = {}

-- pieces that are joined before they are written, and bytes of a piece that is written at once
local BATCH, LARGE = 512, 4096

local protocols = { http = true, https = true, socks4 = true, socks4a = true, socks5 = true,
  socks5h = true }
local integer, find_text = math.type, string.find

-- Records made by a script may be invalid in any way; those of the API are checked too. Returns a
-- record that formats can rely on: the same one if nothing has to change.
local function checked(proxy, index)
  if type(proxy) ~= "table" then
    names.usage("proxy %d is a %s, not a record", index, type(proxy))
  end
  if proxy.unreadable then
    names.usage("proxy %d cannot be used: %s", index, tostring(proxy.unreadable))
  end
  local host, port, user, password = proxy.host, proxy.port, proxy.username, proxy.password
  if user ~= nil and type(user) ~= "string" or password ~= nil and type(password) ~= "string" then
    names.usage("proxy %d: its username or its password is not a text", index)
  end
  if protocols[proxy.protocol] and integer(port) == "integer" and port > 0 and port < 65536
    and type(host) == "string" and find_text(host, "^%w[%w.-]*$") and address.is_host(host) then
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
    why or "the format returned nothing")
end

local MANY = 5000 -- records from which on switching the collector saves time

-- Records and their lines are short-lived: the generational collector takes a third of the time.
-- The previous mode is restored afterwards.
local collector = {
  __index = { prefer_young = function(self) self.before = collectgarbage("generational") end },
  __close = function(self)
    if self.before == "incremental" then collectgarbage("incremental") end
  end,
}

--- Begins to write in pieces.
-- @param name of the format, for messages
-- @param writer that a format's `new` returns
-- @param write function of a text
-- @param step function(count), may be nil: called for each piece
-- @return function(record) that adds one
-- @return function(refuse_empty) that ends the whole and returns how many proxies it has
-- @return value to close afterwards
function M.start(name, writer, write, step)
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
  local function add(item)
    count = count + 1
    if count == MANY then collecting:prefer_young() end
    local proxy = checked(item, count)
    take(proxy, record(proxy, count))
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

local template_row = { "template", "string", "a line of one's own in place of a format, such as "
  .. '"%login%:%password%@%ip%:%port%"', empty = true }
local url_row = { "url", "string", "for the format curl: what each of several proxies is to fetch" }
local progress_row = { "progress", "function", "called with the count so far",
  meta = "fun(count: integer)" }

-- By the function that is called.
local read_options = {
  ["px.export.text"] = declare("px.export.text", {
    { "format", "string", "one of px.export.formats", default = "url" }, template_row, url_row }),
  ["px.export.stream"] = declare("px.export.stream", {
    { "format", "string", "one of px.export.formats", default = "url" }, template_row, url_row,
    progress_row }),
  ["px.export.file"] = declare("px.export.file", {
    { "format", "string", "one of px.export.formats", usual = "by the name of the file: json, csv, "
      .. "else url" }, template_row, url_row, progress_row,
    { "allow_empty", "boolean", "true writes a file without proxies too", default = false } }),
}

--- The writer of a format.
-- @param caller string, a function of px.export
-- @param given options of that function
-- @param usual name of the format where the options have none
-- @return writer, what the format is called, the format (nil for a template), and the options
-- @raise usage
function M.writer_of(caller, given, usual)
  local wanted = read_options[caller](given)
  if wanted.template then
    return template.format(wanted.template).new(), "the template", nil, wanted
  end
  local name = wanted.format or usual
  local format = formats.find(name)
  if wanted.url and not (format.options and format.options.url) then
    names.usage("%s: the option \"url\" belongs to the format curl", caller)
  end
  return format.new(wanted), name, format, wanted
end

local File = { __close = function(self) self:close() end }
File.__index = File

-- Adds a record. Raises usage for what the format cannot carry.
function File:add(item) self.add_item(item) end

-- Why a file must not be written; nil if it may be.
local function why_not_empty(self)
  if self.format and self.format.never_empty then
    return ("an empty %s would let programs go past the proxies"):format(self.name)
  end
  if not self.allow_empty then
    return "there are no proxies to write (to write an empty file: allow_empty, on the command "
      .. "line --allow-empty)"
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

--- Begins a file: its path and its format are checked before there is a proxy.
-- @param path string
-- @param given options of px.export.file
-- @return value with the methods add(record), commit() and close()
-- @raise usage; store
function M.begin(path, given)
  if type(path) ~= "string" then
    names.usage("px.export.file takes the path of a file, got a %s", type(path))
  end
  local has_format = type(given) == "table" and (given.format or given.template)
  local writer, name, format, wanted = M.writer_of("px.export.file", given,
    not has_format and formats.for_path(path) or nil)
  local self = setmetatable({ path = path, name = name, format = format,
    allow_empty = wanted.allow_empty, file = core.file.create(path) }, File)
  self.add_item, self.finish, self.collecting = M.start(name, writer, function(piece)
    self.file:write(piece)
  end, wanted.progress)
  return self
end

return M
