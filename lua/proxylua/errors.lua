--- The error contract on the script's side: calls answer their result or raise an error value, and px.try tells them apart.
-- @module px.errors

local core = require "proxylua.core"

local M = {}

-- A task that was cancelled does not get away with it: its next wait raises again, and here it is only asked.
local function answer(ok, ...)
  if ok then return ... end
  local err = ...
  if not core.error.is(err) then error(err, 0) end
  if err.kind == "cancelled" then core.task.sleep(0) end
  return nil, err
end

--- Calls a function and answers its error instead of raising it. Only errors of px are answered; others, mistakes in a script
-- among them, are raised on, and so is the cancellation of the task that this runs in.
-- @function try
-- @param fn function
-- @param ... its arguments
-- @return what the function returned; or nil and the error value
-- @usage local order, err = px.try(px.orders.get, "ord_1")
-- if not order and err.kind == "not_found" then … end
function M.try(fn, ...)
  return answer(pcall(fn, ...))
end

--- Error values: tables with the fields kind, message, endpoint, status, code, details, retry_after and charge, whose tostring
-- says what happened and what to do next.
--
-- `px.error.is(value)` tells whether a value is one. `px.error.raise{ kind=, message=, … }` raises one, and
-- `px.error.new{ … }` makes one without raising it.
-- @table error
-- @usage local ok, err = pcall(work)
-- if px.error.is(err) and err.charge ~= "none" then alert(err) end
M.error = core.error

return M
