-- The clock for expiry dates: the API's, as its responses report it; before that, the local one.

local core = require "proxylua.core"

--- Seconds since 1970. If both clocks differ by more than a day, either may be right. Then
-- something is due by the later one, and over by the earlier one.
-- @treturn number the later one
-- @treturn number the earlier one, which is the same if the clocks agree
return function()
  local later, earlier = core.api.clock()
  if later then return later, earlier end
  local now = core.task.now()
  return now, now
end
