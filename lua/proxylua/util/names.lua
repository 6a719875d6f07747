--- Misspelt names: the nearest known one, and tables that report it instead of returning nil.
-- @module proxylua.util.names

local core = require "proxylua.core"

local M = {}

-- Edits between two words: a letter put in, left out, changed, or swapped with its neighbour.
local function distance(a, b)
  local before, row, after = {}, {}, {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    after[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      after[j] = math.min(row[j - 1] + (same and 0 or 1), row[j] + 1, after[j - 1] + 1)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        after[j] = math.min(after[j], before[j - 2] + 1)
      end
    end
    before, row, after = row, after, before
  end
  return row[#b]
end

--- The name in a set that is nearest to a word.
-- @param word string
-- @param set table whose keys are the names
-- @return string, or nil when none is within two edits and less than half of the word
function M.nearest(word, set)
  local best, nearest = math.min(3, #word / 2), nil
  if #word > 40 then return nil end
  for name in pairs(set) do
    local edits = type(name) == "string" and distance(word, name) or best
    if edits < best or (edits == best and nearest and name < nearest) then
      best, nearest = edits, name
    end
  end
  return nearest
end

--- The end of a message about an unknown name: ", did you mean list?", or "".
-- @param word anything
-- @param set table whose keys are the names
-- @param form what the name is shown as, for string.format ("%s")
-- @param otherwise text where no name is near ("")
function M.hint(word, set, form, otherwise)
  local nearest = M.nearest(tostring(word), set)
  return nearest and (", did you mean %s?"):format((form or "%s"):format(nearest))
    or otherwise or ""
end

--- Raises an error of kind usage.
-- @param format string, and the arguments of string.format
function M.usage(format, ...)
  core.error.raise{ kind = "usage", message = format:format(...) }
end

--- Refuses names that are not known.
-- @param caller string, such as "px.map", for the message
-- @param options table of what was given
-- @param known table whose keys are the names
-- @raise usage, with the nearest name
function M.check(caller, options, known)
  for name in pairs(options) do
    if known[name] == nil then
      name = tostring(name)
      M.usage("%s has no option \"%s\"%s", caller, name, M.hint(name, known))
    end
  end
end

local function all_names(fields, later)
  local all = {}
  for _, part in ipairs{ fields, later } do
    for name in pairs(part) do all[name] = true end
  end
  return all
end

-- The functions of px.
local of_px = setmetatable({}, { __mode = "k" })

--- Whether a function is one of px, or of a table in it.
function M.is_of_px(fn)
  return of_px[fn] == true
end

-- A function that refuses more arguments than its source names. Functions in C check their own.
local function guard(fn, path)
  local most = core.arity.parameters(fn)
  of_px[fn] = true
  if not most then return fn end
  local function guarded(...)
    local count = select("#", ...)
    if count > most and select(count, ...) ~= nil then
      M.usage("%s takes %s, got %d", path, most == 0 and "no arguments" or most == 1
        and "1 argument" or ("at most %d arguments"):format(most), count)
    end
    return fn(...)
  end
  of_px[guarded] = true
  return guarded
end

-- The field of a name that is loaded at its first use.
local function load_field(fields, path, name, load)
  local value = load()
  if type(value) == "table" and not getmetatable(value) then
    M.strict(value, path .. "." .. name)
  elseif type(value) == "function" then
    value = guard(value, path .. "." .. name)
  end
  fields[name] = value
  return value
end

--- Makes a table raise a usage error where a field that it does not have is read, and its functions
-- where they get more arguments than they take.
-- @param fields table, changed in place
-- @param path string, such as "px.orders"
-- @param later table, may be left out: name -> function that returns a field when it is first read
-- @return the table
function M.strict(fields, path, later)
  later = later or {}
  for name, field in pairs(fields) do
    if type(field) == "function" then fields[name] = guard(field, path .. "." .. name) end
  end
  return setmetatable(fields, {
    later = later,
    __index = function(_, name)
      if later[name] then return load_field(fields, path, name, later[name]) end
      if type(name) ~= "string" then return nil end
      M.usage("there is no %s.%s%s", path, name,
        M.hint(name, all_names(fields, later), path .. ".%s"))
    end,
  })
end

--- Loads what a strict table and those in it would load later, so that fields can be listed.
-- @return the table
function M.load(fields)
  for name in pairs(getmetatable(fields).later) do local _ = fields[name] end
  for _, field in pairs(fields) do
    local meta = type(field) == "table" and getmetatable(field)
    if meta and meta.later then M.load(field) end
  end
  return fields
end

return M
