-- The passwords of proxies that the session has read, from responses of the API and from
-- px.proxies.each: no text that the prompt shows contains them, even after the user's code has
-- processed them. Passwords that code reads or makes by itself are not known.

local address = require "proxylua.proxies.address"
local core = require "proxylua.core"
local tables = require "proxylua.term.table"

local M = {}

local SHORTEST = 4 -- bytes; shorter ones occur in ordinary words

local known = {}  -- set of the texts to hide
local starts = {} -- their first bytes -> set of their lengths

local function add(text)
  if #text < SHORTEST or known[text] then return end
  local start = text:sub(1, SHORTEST)
  known[text] = true
  starts[start] = starts[start] or {}
  starts[start][#text] = true
end

-- As it is, and in the encodings of URLs, JSON and CSV.
local function learn_password(password)
  local ok, quoted = pcall(core.json.encode, password)
  add(password)
  add(address.encode(password))
  if ok then add(quoted:sub(2, -2)) end
  add((password:gsub('"', '""')))
end

local function learn_fields(value)
  for name, item in next, value do
    if type(item) == "string" and tables.is_secret(name) then learn_password(item) end
    if type(item) == "table" then learn_fields(item) end
  end
end

-- An iterator that yields a text once.
local function reader_of(text)
  return { read = function()
    local all = text
    text = nil
    return all
  end }
end

-- An invalid download is reported when it is used.
local function learn_text(read, text)
  pcall(function()
    for proxy in read(reader_of(text), { on_bad = function() end }) do learn_fields(proxy) end
  end)
end

--- Collects from now on the passwords in results of API calls and px.proxies.each.
-- @param px the standard module, changed in place
function M.watch(px)
  local read = px.proxies.each
  local function learn(value, ...)
    if type(value) == "string" then learn_text(read, value) end
    if type(value) == "table" then learn_fields(value) end
    return value, ...
  end
  local function watched(call)
    return function(...) return learn(call(...)) end
  end
  core.api.call, core.api.request = watched(core.api.call), watched(core.api.request)
  px.request = core.api.request
  function px.proxies.each(...) return watched(read(...)) end
end

-- The length of the longest known text at a position.
local function longest_at(text, at)
  local longest
  for size in pairs(starts[text:sub(at, at + SHORTEST - 1)] or {}) do
    if size > (longest or 0) and known[text:sub(at, at + size - 1)] then longest = size end
  end
  return longest
end

--- A text without the passwords.
function M.hide(text)
  if not next(known) then return text end
  local pieces, from, at = {}, 1, 1
  while at <= #text do
    local size = longest_at(text, at)
    if size then
      pieces[#pieces + 1] = text:sub(from, at - 1) .. tables.MASK
      from = at + size
    end
    at = at + (size or 1)
  end
  pieces[#pieces + 1] = text:sub(from)
  return table.concat(pieces)
end

return M
