--- The error contract of scripts: calls return their result or raise an error value; px.try returns
-- either.
-- @module px.errors

local core = require "proxylua.core"
local declare = require("proxylua.util.options").declare

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
-- @tparam function fn
-- @tparam any ... its arguments
-- @treturn any what the function returned; or nil and the error value
-- @raise cancelled, when the present task is; any error that is not one of px
-- @usage local found, err = px.try(px.orders.get, "ord_1")
-- if not found then print(err.kind, err.status, err.charge) end  --> not_found  404  none
function M.try(fn, ...)
  return answer(pcall(fn, ...))
end

--- An error of px. Its tostring says what happened and what to do next.
-- @record error
-- @tfield error_kind kind
-- @tfield string message
-- @tfield[opt] string endpoint
-- @tfield[opt] integer status
-- @tfield[opt] string code
-- @tfield[opt] any details
-- @tfield[opt] number retry_after seconds
-- @tfield "none"|"made"|"unknown" charge whether money moved

--- Whether a value is an error of px.
-- @function px.error.is
-- @tparam any value
-- @treturn boolean
-- @usage local ok, err = pcall(px.orders.get, "ord_1")
-- print(ok, px.error.is(err), err.kind)  --> false  true  not_found

--- Makes an error value without raising it.
-- @function px.error.new
-- @param fields
-- @treturn error
-- @raise usage
-- @usage local err = px.error.new{ kind = "invalid", message = "no such plan" }
-- print(err)  --> invalid: no such plan

--- Raises an error: an error value, or a new one of these fields.
-- @function px.error.raise
-- @param fields
-- @raise the error
-- @usage local _, err = px.try(px.error.raise, { kind = "invalid", message = "no such plan" })
-- print(err.message)  --> no such plan

-- The core checks them.
local rows = {
  { "kind", "string", "one of the kinds of proxylua help errors", required = true,
    meta = "error_kind" },
  { "message", "string", "what happened", required = true },
  { "endpoint", "string", "of the API, such as orders.get" },
  { "status", "integer", "of HTTP" },
  { "code", "string", "a word for programs" },
  { "details", "any", "more data" },
  { "retry_after", "number", "seconds" },
  { "charge", "choice", "whether money moved", values = { "none", "made", "unknown" },
    default = "none" },
}
declare("px.error.new", rows)
declare("px.error.raise", rows)

--- A new table of the functions of px.error.
function M.functions()
  return {
    is = function(value) return core.error.is(value) end,
    new = function(fields) return core.error.new(fields) end,
    raise = function(fields) return core.error.raise(fields) end,
  }
end

return M
