-- Reads a list as px.proxies.each does, for spec/fuzz/lists.c: returns a function of a text, which
-- raises what must not happen.

local core = require "proxylua.core"
local proxies = require "proxylua.proxies"

local function source(text, size)
  local at = 1
  return { read = function()
    if at > #text then return nil end
    local piece = text:sub(at, at + size - 1)
    at = at + size
    return piece
  end }
end

local function check_record(record)
  if type(record.host) ~= "string" or record.host == "" then error("a record without a host") end
  if math.type(record.port) ~= "integer" or record.port < 1 or record.port > 65535 then
    error("a record with the port " .. tostring(record.port))
  end
  local again = proxies.parse(record.url)
  for _, name in ipairs{ "host", "port", "protocol", "username", "password", "url" } do
    local before, after = record[name], again[name]
    if (before or "") ~= (after or "") then
      error(("%s: the %s %q is read back as %q"):format(record.url, name, before, after))
    end
  end
end

-- What a text holds, as one text: URLs, places and reasons. Of one that cannot be read to its end
-- the reason alone: how far it was read depends on the pieces.
local function read(text, size)
  local found = {}
  local function add(...) found[#found + 1] = table.concat({ ... }, "\t") end
  local ok, err = pcall(function()
    local next_record = proxies.each(source(text, size), {
      on_bad = function(line, why) add("bad", tostring(line), why) end,
      on_skip = function(line, what) add("skipped", tostring(line), what) end,
    })
    for record in next_record do
      check_record(record)
      add(record.url)
    end
  end)
  if not ok then
    if not core.error.is(err) or err.kind ~= "usage" then error(err, 0) end
    return err.message
  end
  return table.concat(found, "\n")
end

return function(text)
  local whole = read(text, 1 << 16)
  local size = #text % 7 + 1
  local pieces = read(text, size)
  if whole ~= pieces then
    error(("in pieces of %d bytes:\n%s\nat once:\n%s"):format(size, pieces, whole))
  end
end
