-- export.lua FORMAT FILE COUNT: writes so many proxies, which an iterator makes one at a time.
local px = require "proxylua"

local format, path, count = arg[1], arg[2], math.tointeger(arg[3])
local made = 0

local function next_proxy()
  if made == count then return nil end
  made = made + 1
  local host = ("10.%d.%d.%d"):format(made >> 16 & 255, made >> 8 & 255, made & 255)
  return { host = host, port = 8080, protocol = "http", username = "user-" .. made,
    password = "p/ss:w0rd@1" }
end

local options = { format = format, url = format == "curl" and "http://127.0.0.1/" or nil }
if format == "template" then options = { template = "%login%:%password%@%ip%:%port%" } end
assert(px.export.file(next_proxy, path, options) == count)
