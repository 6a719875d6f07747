--- Small texts in the store, by kind and name, that outlive a run. They belong to the store, or
-- with the option `api = true` to the API at the base URL.
-- @module proxylua.api.notes

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

local known = { api = true }

local function of_api(options)
  if not options then return false end
  names.check("a note", options, known)
  return options.api == true
end

local function check(what, text)
  if type(text) ~= "string" then
    names.usage("%s of a note must be a text, got a %s", what, type(text))
  end
  if not utf8.len(text) or text:find("\0", 1, true) then
    names.usage("%s of a note is not UTF-8: %q", what, text)
  end
  return text
end

--- Reads notes.
-- @param kind string
-- @param wanted list of names
-- @return table: name -> text, of those that exist
-- @raise store; usage
function M.get(kind, wanted, options)
  for _, name in ipairs(wanted) do check("the name", name) end
  local texts, found = core.notes.get(of_api(options), check("the kind", kind), wanted), {}
  for index, name in ipairs(wanted) do found[name] = texts[index] or nil end
  return found
end

--- Writes notes, all of them or none, and durably.
-- @param kind string
-- @param notes table: name -> text, or false to remove it
-- @raise store; usage
function M.put(kind, notes, options)
  local list, texts = {}, {}
  for name, text in pairs(notes) do
    list[#list + 1] = check("the name", name)
    texts[#list] = text and check("the text", text)
  end
  core.notes.put(of_api(options), check("the kind", kind), list, texts, false)
end

--- Writes a note unless it exists; if several processes try, one succeeds.
-- @return boolean: whether it was written
-- @raise store; usage
function M.put_new(kind, name, text, options)
  return core.notes.put(of_api(options), check("the kind", kind), { check("the name", name) },
    { check("the text", text) }, true) == 1
end

--- Removes the notes of a kind that have not been written for longer than a number of seconds.
-- @return integer: the number of removed notes
-- @raise store; usage
function M.forget(kind, seconds, options)
  return core.notes.forget(of_api(options), check("the kind", kind), seconds)
end

--- All notes of a kind, in the order of their names, read in pages.
-- @return iterator of name, text, and when it was written (seconds since 1970)
-- @raise store; usage
function M.each(kind, options)
  local api, at, last = of_api(options), 0, ""
  local list, texts, times = {}, nil, nil
  check("the kind", kind)
  return function()
    if at == #list then
      list, texts, times = core.notes.list(api, kind, last)
      at, last = 0, list[#list] or last
      if #list == 0 then return nil end
    end
    at = at + 1
    return list[at], texts[at], times[at]
  end
end

return M
