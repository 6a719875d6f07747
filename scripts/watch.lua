-- Looks at the balance every minute and tells when it moves; ends with an error when it is too low.
--   proxylua scripts/watch.lua [LEAST [SECONDS [TIMES]]]
local px = require "proxylua"

local least, seconds, times = px.money(arg[1] or "10"), tonumber(arg[2] or 60), tonumber(arg[3] or math.huge)
local last, looks

local watch = px.every(seconds, function()
  local balance = px.account.get().balance
  if balance ~= last then print(os.date("!%FT%TZ"), balance, last and balance - last or "") end
  last, looks = balance, (looks or 0) + 1
  if balance < least then error("the balance is below " .. least, 0) end
  return looks < times
end)
watch:join()
