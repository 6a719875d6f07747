-- A line for the channel behind RESTOCKER_WEBHOOK. An error there is only reported: the money has
-- moved already.

local px = require "proxylua"

-- Slack reads "text", Discord "content".
local function body_of(url, text)
  return url:find("://discord%.com/") and { content = text } or { text = text }
end

return function(text)
  local url = px.env("RESTOCKER_WEBHOOK")
  if not url or url == "" then return end
  local answer, err = px.try(px.http.post, url, { json = body_of(url, text), timeout = 10 })
  if not answer then
    px.log.warn("the channel was not notified: " .. err.message)
  elseif not answer.ok then
    px.log.warn("the channel was not notified: the webhook responded with " .. answer.status)
  end
end
