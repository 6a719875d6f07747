-- Columns with a heading, or quoted: CSV by RFC 4180 with any delimiter, and what the program
-- writes into a pipe.

local address = require "proxylua.proxies.address"
local csv = require "proxylua.util.csv"
local fields = require "proxylua.formats.fields"
local rows = require "proxylua.formats.rows"
local text = require "proxylua.formats.common"
local txt = require "proxylua.formats.txt"

local M = { name = "csv", extension = "csv", summary = "RFC 4180, with a heading" }

local find = string.find
local split, split_raw, split_words = csv.split, rows.split_raw, rows.split_words

-- A record's other fields may hold anything: what is neither text nor number has no place in a
-- line.
local function field(value)
  if value == nil then return "" end
  if type(value) == "number" then return tostring(value) end
  if type(value) ~= "string" then return "" end
  return find(value, '[%s,"]') and csv.field(value, ",") or value
end

local function record(proxy)
  local holder = text.holder(proxy, "\0")
  if holder then return nil, holder .. " holds a NUL, which readers of CSV take for the end" end
  return proxy.host .. "," .. proxy.port .. "," .. field(proxy.username) .. ","
    .. field(proxy.password) .. ","
    .. proxy.protocol .. "," .. field(proxy.country) .. "," .. field(proxy.order_id) .. "\r\n"
end

function M.new()
  return { head = "host,port,username,password,protocol,country,order_id\r\n", record = record }
end

local commas = { "\t", ",", ";", "|" }

local function no_more() return nil end

-- Names of columns have no addresses in them: "proxy 10.0.0.1:80" is a line to be read.
local function has_address(list)
  for _, name in ipairs(list) do
    if find(name, "%d+%.%d+%.%d+%.%d+") or find(name, "://", 1, true) or find(name, ":%d") then
      return true
    end
  end
  return false
end

local joining = { ["and"] = true, ["or"] = true, of = true, the = true, with = true, ["for"] = true,
  ["in"] = true, is = true, are = true, a = true }

-- Between blanks stand words, and sentences have words such as "proxy" too.
local function is_heading(list, are_words)
  local has, known = {}, 0
  for _, name in ipairs(list) do
    local meaning = fields.meaning(name)
    if meaning then has[meaning], known = true, known + 1 end
    if are_words and joining[name:lower()] then return false end
  end
  if has_address(list) then return false end
  return (has.host or has.ip) and has.port
    or has.text and #list > 1 and (not are_words or known == #list)
    or (has.host or has.ip) and has.username and has.password
end

-- The delimiter and the columns of a heading; nil where the line is not one.
local function heading_of(line)
  if #line > 4096 then return nil end
  line = line:gsub("^%s*#%s*", "")
  for _, comma in ipairs(commas) do
    if find(line, comma, 1, true) then
      local list = split(line, "", comma, no_more)
      if list and is_heading(list) and not address.parse(line) then return comma, list end
    end
  end
  local list = split_words(line)
  if #list > 1 and not find(line, "[,;|\t\"]") and is_heading(list, true)
    and not address.parse(line) then
    return " ", list
  end
end

--- Whether a line shows columns: a heading, or fields in quotes.
function M.is_sign(line)
  if heading_of(line) then return true end
  return find(line, '^%s*"[^"]*"%s*[,;|\t]') ~= nil or find(line, '[,;|\t]%s*"[^"]*"%s*$') ~= nil
    or find(line, '[,;|\t]"[^"]*"[,;|\t]') ~= nil
end

local UNKNOWN <const> = "?"

local function repeated(columns)
  local seen = {}
  for _, name in ipairs(columns) do
    local meaning = fields.meaning(name)
    if meaning and meaning ~= UNKNOWN and meaning ~= "text" and meaning ~= "host"
      and seen[meaning] then
      return true
    end
    if meaning then seen[meaning] = true end
  end
  return false
end

-- The meaning of each column is found once. A row whose columns repeat one, or have one that is
-- not understood, is read like any other object.
local function record_maker(columns, protocol)
  local meanings, usual = {}, not repeated(columns)
  for at, name in ipairs(columns) do
    meanings[at] = fields.meaning(name)
    usual = usual and meanings[at] ~= UNKNOWN
      and (meanings[at] ~= "text" or fields.meaning(name) ~= "text" or true)
  end
  if not usual then
    return function(list)
      local object = { [0] = 0 }
      for at, name in ipairs(columns) do
        local key = object[name] == nil and name or name .. " "
        object[#object + 1], object[key] = key, list[at]
      end
      return fields.record(object, protocol)
    end
  end
  return function(list)
    local given = {}
    for at = 1, #columns do
      local meaning = meanings[at]
      if meaning and list[at] ~= "" and given[meaning] == nil then given[meaning] = list[at] end
    end
    return fields.resolve(given, protocol)
  end
end

-- Where a login holds a tab or the end of a line, its column has a blank; the URL beside it has
-- what it was.
local function restore_login(proxy, list, url_at)
  local whole = url_at and address.parse(list[url_at])
  if whole and whole.host == proxy.host and whole.port == proxy.port then
    proxy.username, proxy.password, proxy.url = whole.username, whole.password, whole.url
  end
  return proxy
end

local function column_of(columns, wanted)
  for at, name in ipairs(columns) do
    if name == wanted then return at end
  end
end

local function usual_comma(line)
  for _, comma in ipairs(commas) do
    if find(line, comma, 1, true) then return comma end
  end
  return ","
end

-- Reads the lines up to the heading; those before it may be titles.
local function find_heading(reader, context)
  reader:mark()
  while true do
    local line = reader:line(true)
    if not line then break end
    if not txt.is_empty(line) or line:find("^%s*#") then
      local comma, columns = heading_of(line)
      if comma then
        reader.mark_at = nil
        return comma, columns, line
      end
      if not txt.is_empty(line) and (address.parse(line) or M.is_sign(line)) then break end
      if not txt.is_empty(line) then context.skip(reader.number, "title") end
    end
  end
  reader:reset()
end

local function row_splitter(comma, line)
  if comma == " " then return split_words, nil end
  local raw = comma == "\t" and line and column_of(split_raw(line), "url")
  return raw and split_raw or split, raw
end

-- A row without a heading.
local function parse_plain(list, protocol)
  local given = {}
  for at, value in ipairs(list) do given[at] = value end
  while #given > 1 and given[#given] == "" do given[#given] = nil end
  return address.columns(given, protocol)
end

-- The line below the heading of a table, such as |---|:---:| and +----+----+.
local function is_ruler(line)
  return not find(line, "[^%s|:+-]") and find(line, "--", 1, true) ~= nil
end

-- A row whose first field begins with # looks like a comment. A host does not begin so.
local function hides_proxy(line, columns, comma, make)
  local meaning = fields.meaning(columns[1])
  if meaning == "host" or meaning == "ip" or meaning == "text" then return false end
  local list, count = split(line, "", comma, no_more)
  return list and count == #columns and make(list) ~= nil
end

function M.read(reader, context)
  local comma, columns, heading = find_heading(reader, context)
  local split_row, url_at = row_splitter(comma, heading)
  local make = columns and record_maker(columns, context.protocol)
  local function more() return reader:line() end
  return function()
    while true do
      local line, ending = reader:line(true)
      if line == nil then return nil end
      if line == false then return false, "the line is too long", reader.number end
      local number = reader.number
      if find(line, "^%s*#") then
        if columns and hides_proxy(line, columns, comma, make) then
          return false, "a comment, or a row whose first field needs quotes", number
        end
      elseif line == heading then
        return false, nil, number, "heading"
      elseif find(line, "%S") and not (columns and is_ruler(line)) then
        local list, count = split_row(line, ending, comma or usual_comma(line), more)
        if not list then return false, count, number end
        if columns and count == #columns + 1 and list[count] == "" then count = count - 1 end
        if columns and count ~= #columns then
          return false, ("the row has %d fields, the heading %d"):format(count, #columns), number
        end
        local proxy, why, other
        if make then
          proxy, why, other = make(list)
        else
          proxy, why, other = parse_plain(list, context.protocol)
        end
        if proxy and url_at then restore_login(proxy, list, url_at) end
        if proxy then return proxy end
        return false, why or not other and "host and port are missing" or nil, number, other
      end
    end
  end
end

return M
