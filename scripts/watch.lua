-- Watches the account: reports a low balance, orders that expire soon, and failing proxies, once
-- each. It prints them, and sends them to PROXYLUA_NOTIFY_URL if that is set.
--   proxylua scripts/watch.lua [LEAST [WITHIN [SECONDS [TIMES [URL]]]]]
local px = require "proxylua"

local least, within = arg[1] or "20", arg[2] or "3d"
local seconds, times = tonumber(arg[3] or 600), tonumber(arg[4] or math.huge)
local looks = 0

local function look()
  return px.alerts{
    balance = least, within = within, failing = 10, check_url = arg[5],
      url = os.getenv("PROXYLUA_NOTIFY_URL"),
  }
end

local watch = px.every(seconds, function()
  local alerts, err = px.try(look) -- the line fails at times: the next look may see more
  if err then px.log.error(err) end
  for _, alert in ipairs(alerts or {}) do
    if alert.is_new then print(os.date("!%FT%TZ"), alert.text) end
  end
  looks = looks + 1
  return looks < times
end)
watch:join()
