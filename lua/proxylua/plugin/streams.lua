-- Iterators that are passed between a plugin and its parent: as a number, with which the other side
-- fetches rows in batches. Both sides run the same code; only arguments and results themselves can
-- be iterators, not their fields.
--   wrap(...) -> which of the values are iterators (nil: none), the values with numbers in their
--   places unwrap(which, ...) -> the values with iterators again pull(number) -> handles a request
--   of the other side: a list of rows, and true when there are no more

local core = require "proxylua.core"

local M = {}

local ROWS, SECONDS = 500, 0.05 -- a batch has the rows that arrive in this time, and at least one

local function fail(message)
  core.error.raise{ kind = "usage", message = message }
end

local function source(streams, next_row)
  streams.last = streams.last + 1
  streams.sources[streams.last] = next_row
  return streams.last
end

local function fetch(streams, number)
  local rows, done = streams.ask("pull", number)
  if type(rows) ~= "table" then
    core.error.raise{ kind = "protocol", message = "a plugin's iterator did not return a list of "
      .. "rows" }
  end
  return rows, done
end

local function iterator(streams, number)
  local rows, at, done = {}, 0, false
  return function()
    while at >= #rows do
      if done then return nil end
      rows, done = fetch(streams, number)
      at = 0
    end
    at = at + 1
    return rows[at]
  end
end

--- Makes the streams of one side.
-- @param ask function that sends a request to the other side and waits
-- @param clock function: seconds
function M.open(ask, clock)
  local streams = { ask = ask, sources = {}, last = 0 }

  function streams.wrap(...)
    local which, values
    for index = 1, select("#", ...) do
      local value = select(index, ...)
      if type(value) == "function" then
        which, values = which or {}, values or table.pack(...)
        which[index] = true
        values[index] = source(streams, value)
      end
    end
    if not which then return nil, ... end
    return which, table.unpack(values, 1, values.n)
  end

  function streams.unwrap(which, ...)
    if type(which) ~= "table" then return ... end
    local values = table.pack(...)
    for index in pairs(which) do
      if math.type(index) == "integer" and index >= 1 and index <= values.n then
        values[index] = iterator(streams, values[index])
      end
    end
    return table.unpack(values, 1, values.n)
  end

  function streams.pull(number)
    local next_row = streams.sources[number]
    if not next_row then fail("the iterator does not exist, or has ended") end
    local rows, ends = {}, clock() + SECONDS
    repeat
      local row = next_row()
      if row == nil then
        streams.sources[number] = nil
        return rows, true
      end
      rows[#rows + 1] = row
    until #rows == ROWS or clock() >= ends
    return rows, false
  end

  return streams
end

return M
