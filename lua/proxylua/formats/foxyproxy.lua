-- FoxyProxy: the import file of version 8; the settings of version 7 are read too.

local document = require "proxylua.formats.document"
local fields = require "proxylua.formats.fields"
local text = require "proxylua.formats.common"

local M = { name = "foxyproxy", extension = "json", summary = "the import file of FoxyProxy 8" }

-- A proxy that resolves names itself is one with proxyDNS.
local types = { http = "http", https = "https", socks4 = "socks4", socks4a = "socks4",
  socks5 = "socks5", socks5h = "socks5" }

-- Credentials for HTTP are sent only if both are there, and as Latin-1, which btoa() makes of them
-- (foxyproxy/browser-extension, src/content/on-request.js and authentication.js).
local function lost_login(proxy)
  if not proxy.protocol:find("^http") then return nil end
  local lost = text.lost_login("FoxyProxy", proxy, true)
  if lost then return lost end
  local holder = text.holder(proxy, "[\x80-\xFF]")
  return holder and holder .. " is not ASCII, and FoxyProxy would send it as Latin-1"
end

local function record(proxy, index, before)
  local lost = lost_login(proxy) or text.not_in_pac("FoxyProxy", proxy)
  if lost then return nil, lost end
  local login, why = text.login_pairs(proxy)
  if not login then return nil, why end
  local protocol = proxy.protocol
  local dns = protocol == "socks5h" or protocol == "socks4a"
  return before .. '{"active":true,"title":"proxy-' .. index .. '","type":"' .. types[protocol]
    .. '","hostname":"' .. proxy.host
    .. '","port":"' .. proxy.port .. '"' .. (login == "" and ',"username":"","password":""'
    or login)
    .. ',"cc":"","city":"","color":"#66cc66","pac":"","pacString":"","proxyDNS":' .. tostring(dns)
    .. ',"include":[],"exclude":[],"tabProxy":[]}'
end

function M.new()
  return text.between(
    '{"mode":"disable","sync":false,"autoBackup":false,"passthrough":"",'
      .. '"theme":"","container":{},'
      .. '"commands":{},"data":[\n', record, "\n]}\n")
end

-- Version 7 numbers the types; its proxyDNS is always set, and says nothing.
local numbers = { ["1"] = "http", ["2"] = "https", ["3"] = "socks5", ["4"] = "socks4" }
local numbered_others = { ["5"] = "direct", ["6"] = "pac", ["7"] = "wpad", ["8"] = "system",
  ["9"] = "pass" }

document.special("type", function(object, walk, path, key)
  local kind = object.type
  if type(kind) ~= "string" or not (numbers[kind] or numbered_others[kind]) then return false end
  if object.active == nil and object.title == nil and object.whitePatterns == nil then
    return false
  end
  if numbered_others[kind] then
    return walk:take(path, key, object[0], nil, nil, numbered_others[kind])
  end
  local given = fields.gather(object)
  given.type, given.dns = numbers[kind], nil
  return walk:take(path, key, object[0], fields.resolve(given))
end)

return M
