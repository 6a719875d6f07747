-- Orders that do not tell when they end: what goes by their ends leaves them out, and says so.

local tables = require "proxylua.term.table"

local MOST = 10 -- ids that are named

--- Tells of them, if there are any.
-- @param screen of the command
-- @param ids list
-- @param what becomes of them, such as "not extended"
return function(screen, ids, what)
  if #ids == 0 then return end
  local named = tables.clean(table.concat(ids, ", ", 1, math.min(MOST, #ids)))
  local more = #ids > MOST and (" and %d more"):format(#ids - MOST) or ""
  screen:note(#ids == 1 and "%d active order does not tell when it ends, and is %s: %s%s"
    or "%d active orders do not tell when they end, and are %s: %s%s", #ids, what, named, more)
end
