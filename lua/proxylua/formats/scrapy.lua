-- The list of scrapy-rotating-proxies: URLs of which Scrapy understands less than others.

local address = require "proxylua.proxies.address"
local text = require "proxylua.formats.common"

-- Scrapy decodes what is percent-encoded as UTF-8 and sends it as Latin-1; without a colon or a
-- username it fails or sends none.
local function record(proxy)
  if proxy.protocol ~= "http" then return nil, text.no_protocol("Scrapy", proxy) end
  local user, password = text.login(proxy)
  if not user then return address.url(proxy) .. "\n" end
  if user == "" then return nil, "Scrapy sends no credentials where the username is empty" end
  local holder = text.holder(proxy, "[\x80-\xFF]")
  if holder then
    return nil, holder .. " is not ASCII, and what Scrapy sends then depends on its settings"
  end
  return "http://" .. address.encode(user) .. ":" .. address.encode(password) .. "@"
    .. address.host(proxy.host) .. ":"
    .. proxy.port .. "\n"
end

return {
  name = "scrapy", extension = "txt",
  summary = "ROTATING_PROXY_LIST_PATH of scrapy-rotating-proxies",
  new = function() return { record = record } end,
}
