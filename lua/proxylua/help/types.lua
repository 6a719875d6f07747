-- Annotations of px for lua-language-server: a file that starts with ---@meta, made from the
-- reference and from the declared options.

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local options = require "proxylua.util.options"
local reference = require "proxylua.help.reference"

local M = {}

local HEAD = [[
---@meta proxylua
-- Types of px for lua-language-server, written by `proxylua types`.
--
-- `balance == 1000` is always false: Lua asks no metamethod when it compares money with a number.
-- Write `balance == px.money(1000)`; < and > work with numbers.

]]

-- What an annotation calls a type: those of px begin with "px.". A word before a colon is the name
-- of a parameter.
local function named(type_name, known)
  return (type_name:gsub("([%a_][%w_.]*)(%??:?)", function(word, after)
    return known[word] and not after:find(":", 1, true) and "px." .. word .. after or nil
  end))
end

local function one_line(text)
  return text:gsub("%s+", " ")
end

local function put(out, format, ...)
  out[#out + 1] = format:format(...)
end

local function put_text(out, text)
  if text ~= "" then put(out, "--- %s", one_line(text)) end
end

local function put_field(out, field, known)
  put(out, "---@field %s%s %s%s", field.name, field.optional and "?" or "",
    named(field.type, known), field.text ~= "" and " " .. one_line(field.text) or "")
end

-- "px.orders.list" -> "px.options.orders.list"
local function options_class(name)
  return (name:gsub("^px%.", "px.options."))
end

local function put_options(out, entry, rows, known)
  put(out, "---@class %s", options_class(entry.name))
  for _, row in ipairs(rows) do
    if row.where ~= "path" then
      put_field(out, { name = row[1], type = options.meta(row), optional = not row.required,
        text = options.about(row) }, known)
    end
  end
  put(out, "")
end

local function put_signature(out, entry, known)
  local list = {}
  for _, param in ipairs(entry.params) do
    if not param.option then
      local type_name = param.options and options_class(entry.name) or named(param.type, known)
      local text = param.options and "" or param.text
      put(out, "---@param %s%s %s%s", param.name, param.optional and "?" or "", type_name,
        text ~= "" and " " .. one_line(text) or "")
      list[#list + 1] = param.name
    end
  end
  for _, result in ipairs(entry.returns) do
    put(out, "---@return %s%s", named(result.type, known),
      result.text ~= "" and " # " .. one_line(result.text) or "")
  end
  return table.concat(list, ", ")
end

local function put_function(out, entry, known)
  for _, param in ipairs(entry.params) do
    if param.options then put_options(out, entry, param.options, known) end
  end
  put_text(out, entry.text)
  local arguments = put_signature(out, entry, known)
  local class, method = entry.name:match("^(%l+):(.+)$")
  local name = class and ("class_%s:%s"):format(class, method) or entry.name
  put(out, "function %s(%s) end\n", name, arguments)
end

-- money, task, pool, gateway, response: values with methods.
local function classes()
  local list, known = {}, {}
  for _, entry in ipairs(reference.all()) do
    local class = entry.name:match("^(%l+):")
    if class and not known[class] then
      known[class] = true
      list[#list + 1] = class
    end
  end
  table.sort(list)
  return list, known
end

local function put_kinds(out)
  put(out, "---@alias px.error_kind")
  for _, kind in ipairs(core.error.kinds()) do put(out, '---| "%s"', kind) end
  put(out, "")
end

local money_operators = {
  "add(px.money|number|string)", "sub(px.money|number|string)", "mul(number)", "div(number)", "unm",
}

local function put_records(out, known, with_methods)
  local is_put = {}
  for _, record in ipairs(reference.records()) do
    put_text(out, record.text)
    put(out, "---@class px.%s", record.name)
    for _, field in ipairs(record.fields) do put_field(out, field, known) end
    if with_methods[record.name] then put(out, "local class_%s = {}", record.name) end
    put(out, "")
    is_put[record.name] = true
  end
  for _, class in ipairs(classes()) do
    if not is_put[class] then
      put(out, "---@class px.%s", class)
      for _, operator in ipairs(class == "money" and money_operators or {}) do
        put(out, "---@operator %s: px.money", operator)
      end
      put(out, "local class_%s = {}\n", class)
    end
  end
end

local function put_overload(out, entry, known)
  local params = {}
  for at, param in ipairs(entry.params) do
    params[at] = ("%s: %s"):format(param.name, named(param.type, known))
  end
  put_text(out, entry.text)
  put(out, "---@overload fun(%s): %s", table.concat(params, ", "),
    named(entry.returns[1].type, known))
end

-- The tables of px.
local function put_tables(out, px, known)
  put(out, "---@class px")
  put(out, "local px = {}\n")
  local groups = {}
  for name, value in pairs(px) do
    if type(value) == "table" then groups[#groups + 1] = name end
  end
  table.sort(groups)
  for _, name in ipairs(groups) do
    local entry = reference.find("px." .. name) -- of a table that can be called
    if entry then put_overload(out, entry, known) end
    put(out, "px.%s = {}", name)
  end
  put(out, "")
end

--- The annotations.
-- @return string
function M.text()
  local px = names.load(require "proxylua")
  local out, _, with_methods = { HEAD:sub(1, -2) }, classes()
  local known = { error_kind = true }
  for _, record in ipairs(reference.records()) do known[record.name] = true end
  for class in pairs(with_methods) do known[class] = true end
  put_kinds(out)
  put_records(out, known, with_methods)
  put_tables(out, px, known)
  for _, entry in ipairs(reference.all()) do
    if entry.is_field then
      put_text(out, entry.text)
      put(out, "---@type %s", entry.name == "px.version" and "string" or "userdata")
      put(out, "%s = nil\n", entry.name)
    elseif type(rawget(px, entry.name:sub(4))) ~= "table" then
      put_function(out, entry, known)
    end
  end
  put(out, "return px")
  return table.concat(out, "\n") .. "\n"
end

return M
