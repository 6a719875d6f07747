-- Records as lines of text: aligned columns that fit a terminal, or plain tab-separated ones.

local core = require "proxylua.core"

local M = {}

local GAP = 2
local NARROWEST = 6 -- a column of texts is cut down to this, one of numbers never
local MASK = "********"

-- The columns of each kind of record, in their order; others show what their records have.
local columns = {
  account = { "email", "balance" },
  transaction = { "id", "type", "amount", "order_id", "created_at" },
  quote = { "price" },
  order = { "id", "type", "quantity", "period", "country", "status", "price", "created_at", "expires_at" },
  proxy = { "host", "port", "username", "password", "protocol", "url" },
  address = { "currency", "network", "address" },
}
local first = { id = 1, code = 2, name = 3, type = 4, days = 5 }

local function is_number(value)
  return type(value) == "number" or core.money.is(value)
end

local function is_plain(value)
  return type(value) ~= "table" or core.money.is(value)
end

local function text_of(value)
  if value == nil then return "" end
  return is_plain(value) and tostring(value) or core.json.encode(value)
end

-- What others sent may hold bytes that a terminal obeys: they are shown as ?. A line stays one line.
local function clean(text, on_terminal)
  if not on_terminal then return (text:gsub("[\t\r\n]", " ")) end
  if not utf8.len(text) then text = text:gsub("[\x80-\xFF]", "?") end
  return (text:gsub("\xC2[\x80-\x9F]", "?"):gsub("%c", "?"))
end

local function width_of(text)
  return utf8.len(text) or #text
end

-- "2026-11-23T22:15:00Z" takes four columns more than it needs to.
local function short_time(text)
  local date, time = text:match("^(%d%d%d%d%-%d%d%-%d%d)T(%d%d:%d%d):%d%d%.?%d*Z$")
  return date and date .. " " .. time or text
end

--- A copy of a value in which no password can be read.
function M.mask(value, name)
  if type(value) == "string" then
    if name == "password" or name == "pass" then return MASK end
    return (value:gsub("(://[^:@/%s]*:)[^@/%s]*@", "%1" .. MASK .. "@"))
  end
  if is_plain(value) then return value end
  local copy = setmetatable({}, getmetatable(value))
  for key, item in pairs(value) do copy[key] = M.mask(item, key) end
  return copy
end

--- The names of the columns: those of the kind, or else all that the records have.
-- @param kind of record, or nil
-- @param records list
function M.columns(kind, records)
  if columns[kind] then return columns[kind] end
  local seen, list = {}, {}
  for _, record in ipairs(records) do
    for name in pairs(type(record) == "table" and record or { value = true }) do
      if type(name) == "string" and not seen[name] then
        seen[name] = true
        list[#list + 1] = name
      end
    end
  end
  table.sort(list, function(a, b)
    local rank_a, rank_b = first[a] or 99, first[b] or 99
    return rank_a < rank_b or (rank_a == rank_b and a < b)
  end)
  return list
end

local function cell(record, name)
  if type(record) == "table" then return record[name] end
  return name == "value" and record or nil
end

--- Tab-separated lines, the first with the names of the columns.
function M.plain(names, records)
  local lines = { table.concat(names, "\t") }
  for _, record in ipairs(records) do
    local cells = {}
    for at, name in ipairs(names) do cells[at] = clean(text_of(cell(record, name)), false) end
    lines[#lines + 1] = table.concat(cells, "\t")
  end
  return lines
end

-- A column: its name, texts, width, and whether it holds numbers alone. Nil when no record has the field.
local function column(name, records)
  local found = { name = name, texts = {}, width = width_of(name), right = true }
  local used = false
  for at, record in ipairs(records) do
    local value = cell(record, name)
    if value ~= nil then
      used = true
      if not is_number(value) then found.right = false end
    end
    found.texts[at] = short_time(clean(text_of(value), true))
    found.width = math.max(found.width, width_of(found.texts[at]))
  end
  return used and found or nil
end

local function total(list)
  local sum = GAP * (#list - 1)
  for _, item in ipairs(list) do sum = sum + item.width end
  return sum
end

-- Cuts the widest texts until the lines fit. The first column says which record it is and stays whole.
local function fit(list, width)
  for _ = 1, math.max(0, total(list) - width) do
    local widest
    for at, item in ipairs(list) do
      if at > 1 and not item.right and item.width > NARROWEST and item.width > (widest and widest.width or 0) then
        widest = item
      end
    end
    if not widest then return end
    widest.width = widest.width - 1
  end
end

-- Leaves out columns on the right until the lines fit; answers their names.
local function drop(list, width)
  local dropped = {}
  while #list > 1 and total(list) > width do table.insert(dropped, 1, table.remove(list).name) end
  return dropped
end

local function cut(text, width)
  if width_of(text) <= width then return text end
  return text:sub(1, (utf8.offset(text, width) or width) - 1) .. "…"
end

local function pad(text, item, is_last)
  text = cut(text, item.width)
  local blanks = (" "):rep(item.width - width_of(text))
  if item.right then return blanks .. text end
  return is_last and text or text .. blanks
end

local function line(list, text_at)
  local cells = {}
  for at, item in ipairs(list) do cells[at] = pad(text_at(item), item, at == #list) end
  return table.concat(cells, (" "):rep(GAP))
end

--- Aligned lines for a terminal, the first with the names of the columns.
-- @param names list of columns
-- @param records list
-- @param width of the terminal in columns
-- @return list of lines
-- @return list of the columns that did not fit
function M.aligned(names, records, width)
  local list = {}
  for _, name in ipairs(names) do list[#list + 1] = column(name, records) end
  if #list == 0 then return {}, {} end
  fit(list, width)
  local dropped = drop(list, width)
  local lines = { line(list, function(item) return item.name end) }
  for at = 1, #records do lines[#lines + 1] = line(list, function(item) return item.texts[at] end) end
  return lines, dropped
end

--- One record for a terminal: a line a field, those of its kind first.
function M.fields(names, record)
  local known, list, widest, lines = {}, {}, 0, {}
  for _, name in ipairs(names) do known[name] = true end
  local others = {}
  for name in pairs(record) do
    if type(name) == "string" and not known[name] then others[#others + 1] = name end
  end
  table.sort(others)
  table.move(names, 1, #names, 1, list)
  table.move(others, 1, #others, #list + 1, list)
  for _, name in ipairs(list) do
    if record[name] ~= nil then widest = math.max(widest, width_of(name)) end
  end
  for _, name in ipairs(list) do
    if record[name] ~= nil then
      local label = clean(name, true)
      lines[#lines + 1] = label .. (" "):rep(widest - width_of(name) + GAP) .. clean(text_of(record[name]), true)
    end
  end
  return lines
end

return M
