-- Records as lines of text: aligned columns that fit a terminal, or plain tab-separated ones.

local core = require "proxylua.core"
local plain = require "proxylua.util.text"

--- The text shown instead of a password.
local M = { MASK = "********" }

local GAP = 2
local NARROWEST = 6 -- texts are cut down to this, numbers and dates never
local SHORTEST_NAME = 5

-- The columns of each kind of record, in their order; other kinds show the fields of their records.
local columns = {
  account = { "email", "balance" },
  transaction = { "id", "type", "amount", "order_id", "created_at" },
  quote = { "price" },
  order = { "id", "type", "quantity", "period", "country", "status", "price", "created_at",
    "expires_at" },
  proxy = { "host", "port", "username", "password", "protocol", "url" },
  address = { "currency", "network", "address" },
  deposit = { "currency", "network", "address" },
  result = { "host", "port", "username", "works", "reason", "time", "connect_time", "ip", "country",
    "order_id" },
  history = { "host", "port", "username", "checks", "works", "flaps", "last", "last_at" },
  finding = { "state", "check", "text", "advice" },
  member = { "pool", "id", "type", "quantity", "country", "expires_at" },
  entry = { "id", "key", "endpoint", "state", "quote", "price", "order_id", "created_at" },
  whole_entry = { "id", "key", "endpoint", "state", "open", "running", "quote", "price", "order_id",
    "note", "params",
    "answer", "snapshot", "host", "pid", "run_id", "day", "created_at", "updated_at", "account" },
  limit = { "scope", "requests", "seconds", "free", "waiting", "next", "state" },
  gateway = { "proxy", "country", "requests", "failures", "open", "sent", "received", "latency",
    "quarantine" },
  setting = { "setting", "value", "source" },
  auth = { "api", "profile", "key", "account", "balance", "spend" },
  spending = { "by", "name", "charges", "refunds", "spent", "transactions" },
}
-- The columns to hide first if the terminal is too narrow.
local spare = {
  order = { "created_at", "period", "country", "expires_at", "type" },
  transaction = { "order_id" },
  entry = { "order_id", "endpoint", "price", "created_at" },
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
  if is_plain(value) then return tostring(value) end
  return (core.json.encode(value, { bytes = "escape" }))
end

-- Keeps a line in one line.
local function clean(text, on_terminal)
  return on_terminal and plain.line(text) or (text:gsub("[\t\r\n]", " "))
end

--- A text in one line that is safe for a terminal.
function M.clean(text)
  return clean(text, true)
end

local width_of = core.text.width

-- Shortens "2026-11-23T22:15:00Z" by four columns.
local function short_time(text)
  local date, time = text:match("^(%d%d%d%d%-%d%d%-%d%d)T(%d%d:%d%d):%d%d%.?%d*Z$")
  return date and date .. " " .. time or text
end

--- Whether a field contains a password, by its name.
function M.is_secret(name)
  name = type(name) == "string" and name:lower() or ""
  return name:find("pass", 1, true) or name:find("pwd", 1, true) or name:find("secret", 1, true)
end

-- A text that may be or contain JSON, with the values of password fields masked.
local function mask_json(text)
  local pieces, from = {}, 1
  for name, value, quote in text:gmatch('"([%w_-]+)"%s*:%s*()"()') do
    if value >= from and M.is_secret(name) then
      local ending = quote
      while ending <= #text and text:byte(ending) ~= 34 do
        ending = ending + (text:byte(ending) == 92 and 2 or 1)
      end
      pieces[#pieces + 1] = text:sub(from, quote - 1) .. M.MASK
      from = ending
    end
  end
  return table.concat(pieces) .. text:sub(from)
end

local function mask_text(text, name)
  if M.is_secret(name) then return M.MASK end
  return (mask_json(text):gsub("(://[^:@/%s]*:)[^@/%s]*@", "%1" .. M.MASK .. "@"))
end

local function mask(value, name, copies)
  if type(value) == "string" then return mask_text(value, name) end
  if is_plain(value) or copies[value] then return copies[value] or value end
  local copy = setmetatable({}, debug.getmetatable(value))
  copies[value] = copy
  for key, item in next, value do rawset(copy, key, mask(item, key, copies)) end
  return copy
end

--- A copy of a value, of the same shape, with passwords masked.
function M.mask(value, name)
  return mask(value, name, {})
end

--- The columns of a kind of record, nil if they depend on the records.
function M.known_columns(kind)
  return columns[kind]
end

--- The names of the columns: those of the kind, or all fields of the records.
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

--- The names of all fields of the records, the columns of the kind first.
function M.all_columns(kind, records)
  local list, seen = {}, {}
  for _, names in ipairs{ columns[kind] or {}, M.columns(nil, records) } do
    for _, name in ipairs(names) do
      if not seen[name] then list[#list + 1] = name end
      seen[name] = true
    end
  end
  return list
end

local function cell(record, name)
  if type(record) == "table" then return record[name] end
  return name == "value" and record or nil
end

--- A record as one tab-separated line.
function M.plain_line(names, record)
  local cells = {}
  for at, name in ipairs(names) do cells[at] = clean(text_of(cell(record, name)), false) end
  return table.concat(cells, "\t")
end

--- Tab-separated lines, the first with the names of the columns.
function M.plain(names, records)
  local lines = { table.concat(names, "\t") }
  for _, record in ipairs(records) do lines[#lines + 1] = M.plain_line(names, record) end
  return lines
end

-- A column: its name, its texts and their width, and whether it contains only numbers. Nil when no
-- record has the field.
local function column(name, records)
  local found = { name = name, whole = {}, right = true, times = true }
  local used = false
  for at, record in ipairs(records) do
    local value = cell(record, name)
    if value ~= nil then
      used = true
      if not is_number(value) then found.right = false end
    end
    local text = clean(text_of(value), true)
    found.whole[at] = short_time(text)
    local is_time = found.whole[at] ~= text or text:find("^in %d+%l$") or text:find("^%d+%l ago$")
    if text ~= "" and not is_time then found.times = false end
  end
  return used and found or nil
end

-- Stores the texts that the column shows, and their width.
local function use(item, texts)
  item.texts, item.least = texts, 0
  for _, text in ipairs(texts) do item.least = math.max(item.least, width_of(text)) end
  item.width = math.max(item.least, width_of(item.name))
end

local function total(list)
  local sum = GAP * (#list - 1)
  for _, item in ipairs(list) do sum = sum + item.width end
  return sum
end

-- Narrows the widest columns, down to their minimum, until the lines fit.
local function shrink(list, width, least_of)
  for _ = 1, math.max(0, total(list) - width) do
    local widest
    for at, item in ipairs(list) do
      if item.width > least_of(item, at) and (not widest or item.width > widest.width) then
        widest = item
      end
    end
    if not widest then return end
    widest.width = widest.width - 1
  end
end

-- Dates can be shown without their time.
local function shorten_times(list)
  for _, item in ipairs(list) do
    if item.times then
      local dates = {}
      for at, text in ipairs(item.whole) do dates[at] = text:sub(1, #"2026-11-23") end
      use(item, dates)
    end
  end
end

-- First times lose their hours, then names of columns their ends, then texts theirs. The first
-- column identifies the record: it is shortened last, and keeps half of the line. Returns whether
-- the lines fit.
local function fit(list, width)
  for _, item in ipairs(list) do use(item, item.whole) end
  if total(list) > width then shorten_times(list) end
  shrink(list, width, function(item)
    return math.max(item.least, math.min(SHORTEST_NAME, width_of(item.name)))
  end)
  shrink(list, width, function(item, at)
    return (at == 1 or item.right or item.times) and item.width or NARROWEST
  end)
  shrink(list, width, function(item, at)
    return (at > 1 or item.right or item.times) and item.width or math.max(NARROWEST, width // 2)
  end)
  return total(list) <= width
end

local function is_of(kind, name)
  for _, known in ipairs(columns[kind] or {}) do
    if known == name then return true end
  end
  return false
end

-- The least important column: one that the kind does not know, else a spare one of the kind, else
-- the last.
local function least_missed(list, kind)
  if not is_of(kind, list[#list].name) then return #list end
  for _, name in ipairs(spare[kind] or {}) do
    for at, item in ipairs(list) do
      if at > 1 and item.name == name then return at end
    end
  end
  return #list
end

-- Removes columns until the lines fit; returns their names.
local function drop(list, width, kind)
  local dropped = {}
  while not fit(list, width) and #list > 1 do
    dropped[#dropped + 1] = table.remove(list, least_missed(list, kind)).name
  end
  return dropped
end

local function cut(text, width)
  if width_of(text) <= width then return text end
  return core.text.prefix(text, width - 1) .. "…"
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
-- @param kind of record, or nil
-- @return list of lines
-- @return list of the columns that did not fit
function M.aligned(names, records, width, kind)
  local list = {}
  for _, name in ipairs(names) do list[#list + 1] = column(name, records) end
  if #list == 0 then return {}, {} end
  local dropped = drop(list, width, kind)
  local lines = { line(list, function(item) return clean(item.name, true) end) }
  for at = 1, #records do
    lines[#lines + 1] = line(list, function(item) return item.texts[at] end)
  end
  return lines, dropped
end

--- One record for a terminal: one line for each field, those of its kind first.
-- @param kind of record, or nil
function M.fields(kind, record)
  local list, widest, lines = {}, 0, {}
  for _, name in ipairs(M.all_columns(kind, { record })) do
    if record[name] ~= nil then
      list[#list + 1] = name
      widest = math.max(widest, width_of(name))
    end
  end
  for at, name in ipairs(list) do
    local label, text = clean(name, true), text_of(record[name]):gsub("%s*[\r\n]%s*", " ")
    lines[at] = label .. (" "):rep(widest - width_of(name) + GAP) .. clean(text, true)
  end
  return lines
end

return M
