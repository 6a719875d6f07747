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
    if param.text == "" then
      assert(not table_at, entry.name)
      table_at = #params
    end
  end
  local is_required = false
  for _, row in ipairs(rows) do
    is_required = is_required or row.required and row.where ~= "path"
    if row.where ~= "path" then
      params[#params + 1] = { name = params[table_at].name .. "." .. row[1],
        text = options.about(row), option = row }
    end
  end
  params[table_at].text = is_required and "table" or "table, may be left out"
  params[table_at].options = rows
  entry.params = params
end

-- The parameters of an endpoint's path, and the table of the others.
local function path_params(rows)
  local list = {}
  for _, row in ipairs(rows) do
    if row.where == "path" then list[#list + 1] = { name = row[1], text = options.about(row) } end
  end
  list[#list + 1] = { name = "params", text = "" }
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

local entries, by_name

local function load_all()
  if entries then return end
  local core = require "proxylua.core"
  names.load(require "proxylua") -- the modules with the declarations
  entries, by_name = read(core.system.embedded(SOURCE)), {}
  for _, entry in ipairs(entries) do by_name[entry.name] = entry end
  for _, row in ipairs(core.endpoints()) do
    local name = "px." .. row.name
    if not by_name[name] then
      entries[#entries + 1] = entry_of(row)
      by_name[name] = entries[#entries]
    end
    add_options(by_name[name], options.of_endpoint(row))
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
