--- The error contract of scripts: calls return their result or raise an error value; px.try returns
-- either.
-- @module px.errors

local core = require "proxylua.core"

local M = {}

-- The cancellation of a task cannot be caught: its next wait raises again. This only checks for it.
local function answer(ok, ...)
  if ok then return ... end
  local err = ...
  if not core.error.is(err) then error(err, 0) end
  if err.kind == "cancelled" then core.task.sleep(0) end
  return nil, err
end

--- Calls a function and returns its error instead of raising it. Only errors of px are returned;
-- others, such as mistakes in a script, are raised again, and so is the cancellation of the present
-- task.
-- @function px.try
-- @param fn function
-- @param ... its arguments
-- @return what the function returned; or nil and the error value
-- @raise cancelled, when the present task is; any error that is not one of px
-- @usage local found, err = px.try(px.orders.get, "ord_1")
-- if not found then print(err.kind, err.status, err.charge) end  --> not_found  404  none
function M.try(fn, ...)
  return answer(pcall(fn, ...))
end

--- Whether a value is an error of px: a table with the fields `kind`, `message`, `endpoint`,
-- `status`, `code`, `details`, `retry_after` (seconds) and `charge` (none, made or unknown: whether
-- money moved), whose tostring says what happened and what to do next.
-- @function px.error.is
-- @param value any
-- @return boolean
-- @usage local ok, err = pcall(px.orders.get, "ord_1")
-- print(ok, px.error.is(err), err.kind)  --> false  true  not_found

--- Makes an error value without raising it.
-- @function px.error.new
-- @param fields table: `kind`, one of the kinds of proxylua help errors, and `message`; `endpoint`,
--   `status`, `code`, `details`, `retry_after` and `charge` if known
-- @return error
-- @raise usage
-- @usage local err = px.error.new{ kind = "invalid", message = "no such plan" }
-- print(err)  --> invalid: no such plan

--- Raises an error value.
-- @function px.error.raise
-- @param fields table, as px.error.new has it; or an error value
-- @raise the error
-- @usage local _, err = px.try(px.error.raise, { kind = "invalid", message = "no such plan" })
-- print(err.message)  --> no such plan
M.error = core.error

return M
