-- A URL a line, which loses nothing.

local address = require "proxylua.proxies.address"

local function record(proxy) return address.url(proxy) .. "\n" end

return {
  name = "url", extension = "txt",
  summary = "protocol://username:password@host:port a line, percent-encoded",
  new = function() return { record = record } end,
}
