-- Orders without an expiry date: commands that go by expiry dates skip them, and report it.

local tables = require "proxylua.term.table"

local MAX_NAMED = 10 -- ids in a message

--- Reports them, if there are any.
-- @param screen of the command
-- @param ids list
-- @param what is not done with them, such as "not extended"
return function(screen, ids, what)
  if #ids == 0 then return end
  local named = tables.clean(table.concat(ids, ", ", 1, math.min(MAX_NAMED, #ids)))
  local more = #ids > MAX_NAMED and (" and %d more"):format(#ids - MAX_NAMED) or ""
  screen:note(#ids == 1 and "%d active order has no expiry date, and is %s: %s%s"
    or "%d active orders have no expiry date, and are %s: %s%s", #ids, what, named, more)
end
