-- The time by which orders end: the API's, as its responses report it; the local one before.

local core = require "proxylua.core"

--- Seconds since 1970. Where both clocks differ by more than a day, either may be the right one:
-- what is due by the later one is due, and what is over by the earlier one is over.
-- @treturn number the later one
-- @treturn number the earlier one, which is the same where the clocks agree
return function()
  local later, earlier = core.door.clock()
  if later then return later, earlier end
  local now = core.task.now()
  return now, now
end
