-- JSON Schemas (2020-12) of tools: what a call takes and returns, made from the endpoint table; and
-- the check of a call's arguments.

local core = require "proxylua.core"

local M = {}

local array = core.json.array

-- Records keep what the API sent, so that the types are those that a field may have.
local field_types = {
  text = array{ "string", "integer", "number", "boolean" }, integer = array{ "integer", "string" },
  money = array{ "number", "string" }, time = array{ "string", "integer" },
}

--- An object with these properties.
-- @param properties table: name -> schema
-- @param required list of names, may be left out
-- @param open true: with other properties too
function M.object(properties, required, open)
  return { type = "object", properties = properties, required = required and array(required),
    additionalProperties = open or false }
end

--- The schema of an endpoint's parameter.
-- @param param as core.endpoints has it
function M.param(param)
  local schema = { type = param.type == "integer" and "integer" or "string",
    description = param.summary }
  local is_integer = param.type == "integer"
  if param.min then schema[is_integer and "minimum" or "minLength"] = param.min end
  if param.max then schema[is_integer and "maximum" or "maxLength"] = param.max end
  if param.values then schema.examples = array(param.values) end
  return schema
end

--- The schema of an endpoint's record. Fields that the API does not report are absent.
-- @param row of core.endpoints
function M.record(row)
  local properties = {}
  for _, field in ipairs(row.fields) do
    properties[field.name] = { type = field_types[field.type] }
  end
  return M.object(properties, nil, true)
end

local function type_of(value)
  if core.money.is(value) then return "number" end
  local kind = math.type(value) or type(value)
  if kind == "float" then return math.tointeger(value) and "integer" or "number" end
  if kind ~= "table" then return kind end
  return value[1] ~= nil and "array" or "object"
end

local function has_type(value, wanted)
  local kind = type_of(value)
  if kind == wanted or wanted == "number" and kind == "integer" then return true end
  return wanted == "array" and type(value) == "table" and next(value) == nil
end

local function range(schema, size, least, most, what)
  if schema[least] and size < schema[least] then
    return ("must be at least %s%s"):format(schema[least], what)
  end
  if schema[most] and size > schema[most] then
    return ("must be at most %s%s"):format(schema[most], what)
  end
end

local function is_one_of(list, value)
  for _, item in ipairs(list) do
    if item == value then return true end
  end
  return false
end

local check_object

-- What is wrong with a value, nil if nothing is.
local function fault_of(schema, value, name, faults)
  if not has_type(value, schema.type) then
    return ("must be %s %s, got %s"):format(schema.type:find("^[aio]") and "an" or "a", schema.type,
      type_of(value))
  end
  if schema.enum and not is_one_of(schema.enum, value) then
    return "must be one of " .. table.concat(schema.enum, ", ")
  end
  if schema.type == "string" then
    return range(schema, utf8.len(value) or #value, "minLength", "maxLength", " characters")
  end
  if schema.type == "array" then
    for at, item in ipairs(value) do
      local path = ("%s[%d]"):format(name, at)
      local fault = fault_of(schema.items, item, path, faults)
      if fault then faults[#faults + 1] = ("%s %s"):format(path, fault) end
    end
    return range(schema, #value, "minItems", "maxItems", " items")
  end
  if schema.type == "object" then return check_object(schema, value, name .. ".", faults) end
  return range(schema, value, "minimum", "maximum", "")
end

function check_object(schema, value, prefix, faults)
  for _, name in ipairs(schema.required or {}) do
    if value[name] == nil then faults[#faults + 1] = prefix .. name .. " is missing" end
  end
  for name, item in pairs(value) do
    local part = schema.properties[name]
    local path = prefix .. tostring(name)
    if part then
      local fault = fault_of(part, item, path, faults)
      if fault then faults[#faults + 1] = ("%s %s"):format(path, fault) end
    elseif not schema.additionalProperties then
      faults[#faults + 1] = path .. " is not a parameter"
    end
  end
end

--- Checks the arguments of a call against the schema of its tool.
-- @return nil, or all that is wrong as one text
function M.check(schema, arguments)
  local faults = {}
  check_object(schema, arguments, "", faults)
  if #faults == 0 then return nil end
  table.sort(faults)
  return table.concat(faults, "; ")
end

return M
