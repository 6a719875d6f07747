-- The reference of the functions for scripts. It is read from the doc comments beside the
-- functions; the entries of endpoints are made from the endpoint table. Help, the site, completion
-- and the specs use it.
--
-- A comment is part of it when it names its function: `@function px.orders.wait`, or a field:
-- `@field px.version`.

local M = {}

local SOURCE = "build/reference.txt" -- the comments, as the program carries them

--- The doc comments of a source that belong to the reference, without the dashes.
-- @param source text of a Lua file
-- @return list of texts
function M.comments(source)
  local list, lines = {}, nil
  local function finish()
    local text = lines and table.concat(lines, "\n")
    if text and (text:find("@function px%.") or text:find("@function %l+:")
      or text:find("@field px%.")) then
      list[#list + 1] = text
    end
    lines = nil
  end
  for line in (source .. "\n"):gmatch("(.-)\n") do
    local first, more = line:match("^%s*%-%-%- ?(.*)$"), line:match("^%s*%-%- ?(.*)$")
    if first then
      finish()
      lines = { first }
    elseif more and lines then
      lines[#lines + 1] = more
    else
      finish()
    end
  end
  finish()
  return list
end

-- "options table, may be left out" -> "options", "table, may be left out"
local function named(text)
  local name, rest = text:match("^(%S+)%s*(.*)$")
  return { name = name, text = rest }
end

-- The lines of a tag are joined by blanks; an example keeps its lines.
local function add_tag(entry, tag, text)
  local joined = text:gsub("%s*\n%s*", " ")
  if tag == "function" or tag == "field" then
    entry.name, entry.is_field = joined, tag == "field"
  elseif tag == "param" then
    table.insert(entry.params, named(joined))
  elseif tag == "usage" then
    entry.usage = text
  else
    assert(tag == "return" or tag == "raise", "the reference has no tag @" .. tag)
    table.insert(entry[tag .. "s"], joined)
  end
end

--- Parses a comment.
-- @param text string, as M.comments returns it
-- @return entry: name, is_field, text, params (list of tables: name, text), returns and raises
--   (lists), usage
function M.parse(text)
  local entry = { params = {}, returns = {}, raises = {} }
  local tag, lines = nil, {}
  local function finish()
    local content = table.concat(lines, "\n")
    if tag then add_tag(entry, tag, content) else entry.text = content:gsub("%s*\n%s*", " ") end
  end
  for line in (text .. "\n"):gmatch("(.-)\n") do
    local name, rest = line:match("^@(%l+) (.*)$")
    if name then
      finish()
      tag, lines = name, {}
    end
    lines[#lines + 1] = rest or line
  end
  finish()
  return entry
end

local samples = { id = "order.id", country = '"US"', period = "30", quantity = "2",
  network = '"TRC20"' }

local function sample(param)
  local value = samples[param.name] or (param.values and ('"%s"'):format(param.values[1])) or "1"
  return param.type == "text" and param.name == "type" and '"isp"' or value
end

local function range(param)
  if param.type ~= "integer" then return "string" end
  if param.min and param.max then return ("integer from %d to %d"):format(param.min, param.max) end
  return param.min and ("integer from %d"):format(param.min) or "integer"
end

local function about(param)
  local text = ("%s, %s"):format(range(param), param.summary)
  if param.values then text = text .. "; known: " .. table.concat(param.values, ", ") end
  return param.required and text or text .. "; may be left out"
end

local option_texts = {
  timeout = "number of seconds for the whole call, without waits for the rate limit; may be left "
    .. "out",
  max_wait = "number of seconds to wait for the rate limit (default: no limit)",
  path = "string, a file for the response, written completely or not at all; may be left out",
}

-- Parameters in the path come first; the others are fields of one table.
local function params_of(row)
  local list = {}
  for _, param in ipairs(row.params) do
    if param.where == "path" then list[#list + 1] = { name = param.name, text = about(param) } end
  end
  list[#list + 1] = { name = "params",
    text = "table, may be left out if no field of it is required" }
  for _, param in ipairs(row.params) do
    if param.where ~= "path" then
      list[#list + 1] = { name = "params." .. param.name, text = about(param) }
    end
  end
  for _, option in ipairs(row.options) do
    if option_texts[option] then
      list[#list + 1] = { name = "params." .. option, text = option_texts[option] }
    end
  end
  return list
end

local function record_text(row)
  local fields = {}
  for at, field in ipairs(row.fields) do
    local is_special = field.type == "money" or field.type == "time"
    fields[at] = ("`%s`%s"):format(field.name, is_special and (" (%s)"):format(field.type) or "")
  end
  if row.record == "proxy" then fields[#fields + 1] = "`url`" end
  return #fields > 0 and ": " .. table.concat(fields, ", ") or ""
end

local function result_of(row)
  if row.text then return "string, the file; with `path` the path" end
  local kind = row.record or "record"
  if not row.list then
    return ("table, the %s%s; other fields of the response are kept"):format(kind, record_text(row))
  end
  local paged = row.paged
    and "; the list has `page`, `limit`, `total` and `has_more`, if the API reports them" or ""
  return ("list of records of kind %s%s%s"):format(kind, record_text(row), paged)
end

local function usage_of(row)
  local parts, fields = {}, {}
  for _, param in ipairs(row.params) do
    if param.where == "path" then
      parts[#parts + 1] = sample(param)
    elseif param.required or param.name == "country" or param.name == "status" or param.name
      == "format" then
      fields[#fields + 1] = ("%s = %s"):format(param.name, sample(param))
    end
  end
  if #fields > 0 then parts[#parts + 1] = "{ " .. table.concat(fields, ", ") .. " }" end
  local call = ("px.%s(%s)"):format(row.name, table.concat(parts, ", ")):gsub("%(({.*})%)$", "%1")
  if row.text then return ("io.write(%s)"):format(call) end
  if row.list then return ("print(#%s)"):format(call) end
  local field = row.fields[#row.fields] and row.fields[1].name
  return field and ("print(%s.%s)"):format(call, field) or call
end

local function entry_of(row)
  local summary = row.summary:gsub("^%l", string.upper)
  return {
    name = "px." .. row.name, text = ("%s (%s %s)."):format(summary, row.method, row.path),
    params = params_of(row), returns = { result_of(row) }, usage = usage_of(row),
    raises = { "auth, forbidden, not_found, invalid, upstream, network, timeout, protocol, "
      .. "rate_limited, store, usage, "
      .. "config, cancelled: the kinds that every call can raise" },
  }
end

local function read(text)
  local list = {}
  for comment in (text .. "\0"):gmatch("(.-)\0") do
    if comment ~= "" then list[#list + 1] = M.parse(comment) end
  end
  return list
end

local entries, by_name

local function load_all()
  if entries then return end
  local core = require "proxylua.core"
  entries, by_name = read(core.system.embedded(SOURCE)), {}
  for _, entry in ipairs(entries) do by_name[entry.name] = entry end
  for _, row in ipairs(core.endpoints()) do
    local entry = entry_of(row)
    if not by_name[entry.name] then
      entries[#entries + 1] = entry
      by_name[entry.name] = entry
    end
  end
  table.sort(entries, function(a, b)
    local method_a, method_b = a.name:find(":", 1, true) ~= nil, b.name:find(":", 1, true) ~= nil
    if method_a ~= method_b then return method_b end
    return a.name < b.name
  end)
end

--- All entries, sorted by name, methods last.
function M.all()
  load_all()
  return entries
end

--- The entry of a name such as "px.orders.create", or nil.
function M.find(name)
  load_all()
  return by_name[name]
end

--- The names of the options that a function takes in a table, such as `concurrency`.
-- @return list
function M.options(entry)
  local list = {}
  for _, param in ipairs(entry.params) do
    if param.text:find("^table") then
      for name in param.text:gmatch("`([%l_]+)`") do list[#list + 1] = name end
      local other = M.find(param.text:match("as (px%.[%w_.]+) has it"))
      if other then table.move(M.options(other), 1, 99, #list + 1, list) end
    end
  end
  return list
end

--- "px.orders.wait(id, options)"
function M.signature(entry)
  if entry.is_field then return entry.name end
  local names = {}
  for _, param in ipairs(entry.params) do
    if not param.name:find("%.%a") then names[#names + 1] = param.name end
  end
  return ("%s(%s)"):format(entry.name, table.concat(names, ", "))
end

return M
