-- The assert of specs: busted's most used assertions. assert(condition) works as in Lua;
-- assert.is_true(x), assert.are.equal(expected, x), assert.is_not.equal(…), assert.has_error(fn).

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local MAX_SHOWN <const> = 300 -- bytes

local function shown(value, depth)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" or core.error.is(value) or (depth or 0) > 3 then
    return tostring(value)
  end
  local parts, keys = {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for at, key in ipairs(keys) do
    local name = key == at and "" or (type(key) == "string" and key or shown(key)) .. " = "
    parts[at] = name .. shown(value[key], (depth or 0) + 1)
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function cut(value)
  local text = shown(value)
  return #text > MAX_SHOWN and text:sub(1, MAX_SHOWN) .. "…" or text
end

-- Tables are the same if their fields are; compared pairs are remembered, since tables may contain
-- themselves.
local function same(a, b, seen)
  if rawequal(a, b) or a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" then return false end
  seen = seen or {}
  if seen[a] == b then return true end
  seen[a] = b
  for key, value in next, a do
    if not same(value, rawget(b, key), seen) then return false end
  end
  for key in next, b do
    if rawget(a, key) == nil then return false end
  end
  return true
end

-- Whether a function raises, and the error that is expected: a kind of px, or a part of its text.
local function raises(fn, expected)
  local ok, err = pcall(fn)
  if ok then return false, "no error was raised" end
  if expected == nil then return true, "raised " .. cut(err) end
  local fits = core.error.is(err) and err.kind == expected
    or tostring(err):find(tostring(expected), 1, true) ~= nil
  return fits, "raised " .. tostring(err)
end

-- Each returns whether it holds, and what to say if it does not.
local checks = {
  equal = function(expected, value)
    return expected == value, ("expected %s, got %s"):format(cut(expected), cut(value))
  end,
  same = function(expected, value)
    return same(expected, value), ("expected %s, got %s"):format(cut(expected), cut(value))
  end,
  truthy = function(value) return not not value, "expected a value, got " .. cut(value) end,
  falsy = function(value) return not value, "expected false or nil, got " .. cut(value) end,
  ["true"] = function(value) return value == true, "expected true, got " .. cut(value) end,
  ["false"] = function(value) return value == false, "expected false, got " .. cut(value) end,
  ["nil"] = function(value) return value == nil, "expected nil, got " .. cut(value) end,
  matches = function(pattern, value, from, plain)
    return tostring(value):find(pattern, from or 1, plain) ~= nil,
      ("expected %q in %s"):format(pattern, cut(value))
  end,
  near = function(expected, value, tolerance)
    return math.abs(value - expected) <= tolerance,
      ("expected %s within %s, got %s"):format(expected, tolerance, cut(value))
  end,
  error = raises,
}
checks.match, checks.equals, checks.errors = checks.matches, checks.equal, checks.error
for _, kind in ipairs{ "string", "number", "boolean", "table", "function" } do
  checks[kind] = function(value)
    return type(value) == kind, ("expected a %s, got %s"):format(kind, cut(value))
  end
end

local links = { are = true, is = true, has = true, no = false, ["not"] = false }

-- The parts of "has_no_error": links, and the name of a check.
local function parse(name)
  local holds, rest = true, name
  while rest and not checks[rest] do
    local word, more = rest:match("^(%l+)_?(.*)$")
    if word == nil or links[word] == nil then return nil end
    if not links[word] then holds = not holds end
    rest = more ~= "" and more or nil
  end
  return holds, checks[rest]
end

local function link(holds, path)
  return setmetatable({}, {
    __index = function(_, name)
      local positive, check = parse(name)
      if positive == nil then
        names.usage("there is no %s.%s%s", path, name, names.hint(name, checks))
      end
      if not check then return link(holds == positive, path .. "." .. name) end
      return function(...)
        local ok, why = check(...)
        if ok == (holds == positive) then return ... end
        error(("%s.%s: %s%s"):format(path, name, ok and "it holds; " or "", why), 2)
      end
    end,
    __call = function(_, value, message, ...)
      if value then return value, message, ... end
      error(message or "assertion failed!", 2)
    end,
  })
end

return link(true, "assert")
