-- The reference of the functions for scripts. It is read from the doc comments beside the
-- functions, and from the declarations of their options; the entries of endpoints are made from the
-- endpoint table. Help, the site, completion and the specs use it.

local comments = require "proxylua.help.comments"
local names = require "proxylua.util.names"
local options = require "proxylua.util.options"

local M = {}

local SOURCE = "build/reference.txt" -- the comments, as the program carries them

local samples = { id = "order.id", country = '"US"', period = "30", quantity = "2",
  network = '"TRC20"' }

local function sample(param)
  local value = samples[param.name] or (param.values and ('"%s"'):format(param.values[1])) or "1"
  return param.type == "text" and param.name == "type" and '"isp"' or value
end

-- Adds the options of a function, from their declaration, behind the parameter that they are
-- fields of. Parameters in the path of an endpoint come first.
local function add_options(entry, rows)
  local params, table_at = {}, nil
  for _, param in ipairs(entry.params) do
    params[#params + 1] = param
    if not param.type then
      assert(not table_at, entry.name)
      table_at = #params
    end
  end
  local is_required = false
  for _, row in ipairs(rows) do
    is_required = is_required or row.required and row.where ~= "path"
    if row.where ~= "path" then
      params[#params + 1] = { name = params[table_at].name .. "." .. row[1],
        text = options.about(row), type = options.meta(row), option = row }
    end
  end
  params[table_at].type, params[table_at].optional = "table", not is_required or nil
  params[table_at].options = rows
  entry.params = params
end

-- The parameters of an endpoint's path, and the table of the others.
local function path_params(rows)
  local list = {}
  for _, row in ipairs(rows) do
    if row.where == "path" then
      list[#list + 1] = { name = row[1], type = options.meta(row), text = row[3] }
    end
  end
  list[#list + 1] = { name = "params", text = "" }
  return list
end

local field_types = { text = "string", integer = "integer", money = "money", time = "string" }

-- The records of the API. A field is absent where the API does not report it.
local function record_of(row)
  local fields = {}
  for at, field in ipairs(row.fields) do
    fields[at] = { name = field.name, type = field_types[field.type] or "any", optional = true,
      text = field.type == "time" and "time" or "" }
  end
  if row.record == "proxy" then
    fields[#fields + 1] = { name = "url", type = "string", optional = true, text = "" }
  end
  return { name = row.record, text = "A record of the API; other fields of the response are kept.",
    fields = fields, is_record = true }
end

local function result_of(row)
  if row.text then return { type = "string", text = "the file; with `path` the path" } end
  local kind = row.record or "table"
  if not row.list then return { type = kind, text = "" } end
  return { type = kind .. "[]", text = row.paged
    and "the list has `page`, `limit`, `total` and `has_more`, if the API reports them" or "" }
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
    params = path_params(options.of_endpoint(row)), returns = { result_of(row) },
    usage = usage_of(row),
    raises = { "auth, forbidden, not_found, invalid, upstream, network, timeout, protocol, "
      .. "rate_limited, store, usage, "
      .. "config, cancelled: the kinds that every call can raise" },
  }
end

local function read(text)
  local list = {}
  for comment in (text .. "\0"):gmatch("(.-)\0") do
    if comment ~= "" then list[#list + 1] = comments.parse(comment) end
  end
  return list
end

local entries, by_name, records

-- Takes the records out of the entries.
local function split(list)
  local functions = {}
  for _, entry in ipairs(list) do
    local into = entry.is_record and records or functions
    into[#into + 1] = entry
  end
  return functions
end

local function add_record(row)
  if row.record and #row.fields > 0 and not records[row.record] then
    records[row.record] = record_of(row)
    records[#records + 1] = records[row.record]
  end
end

local function load_all()
  if entries then return end
  local core = require "proxylua.core"
  names.load(require "proxylua") -- the modules with the declarations
  by_name, records = {}, {}
  entries = split(read(core.system.embedded(SOURCE)))
  for _, record in ipairs(records) do records[record.name] = record end
  for _, entry in ipairs(entries) do by_name[entry.name] = entry end
  for _, row in ipairs(core.endpoints()) do
    local name = "px." .. row.name
    if not by_name[name] then
      entries[#entries + 1] = entry_of(row)
      by_name[name] = entries[#entries]
    end
    add_options(by_name[name], options.of_endpoint(row))
    add_record(row)
  end
  for name, rows in options.each() do add_options(by_name[name], rows) end
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

--- All records, sorted by name.
function M.records()
  load_all()
  table.sort(records, function(a, b) return a.name < b.name end)
  return records
end

--- The record of a type such as "order", "order[]" or "fun():order?", or nil.
function M.record_of(type_name)
  load_all()
  return records[type_name:gsub("^fun%(%):", ""):match("^[%a_]+")]
end

local function word_of(part)
  local name = part:gsub("%?$", "")
  if name:find("^fun%(%):") then return "iterator of " .. word_of(name:sub(#"fun():" + 1)) end
  if name:find("^fun%(") then
    local arguments = name:match("^fun(%b())"):gsub(":[^,)]*", ""):gsub(",", ", ")
    return name == "fun()[]" and "list of functions" or "function" .. arguments
  end
  if name:find("^table<") then return "table" end
  return name:find("%[%]$") and "list of " .. name:sub(1, -3) or name
end

-- "proxy[]|string" -> "list of proxy or string". Alternatives of a function's result belong to it.
local function words_of(type_name)
  if type_name:find("^fun%([^)]") then return word_of(type_name) end
  local parts = {}
  for part in type_name:gmatch("[^|]+") do parts[#parts + 1] = word_of(part) end
  return table.concat(parts, " or ")
end

--- A parameter, result or field in words: "string, of the order; may be left out".
function M.about(item)
  if item.option then return item.text end
  local text = words_of(item.type)
  if item.text ~= "" then text = text .. ", " .. item.text end
  return item.optional and text .. "; may be left out" or text
end

--- "px.orders.wait(id, options)"
function M.signature(entry)
  if entry.is_field then return entry.name end
  local list = {}
  for _, param in ipairs(entry.params) do
    if not param.option then list[#list + 1] = param.name end
  end
  return ("%s(%s)"):format(entry.name, table.concat(list, ", "))
end

return M
