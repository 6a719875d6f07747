-- Formats with a proxy a line: txt, url, csv, and the list of scrapy-rotating-proxies.

local address = require "proxylua.proxies.address"
local text = require "proxylua.formats.common"

local M = {}

local find = string.find

-- Readers split at the first three colons and take blanks off the end.
local function txt_record(proxy)
  local user, password = text.login(proxy)
  if not user then return address.host(proxy.host) .. ":" .. proxy.port .. "\n" end
  local why = text.not_in_line(proxy)
  if why then return nil, why end
  if user:find(":", 1, true) then return nil, "the username holds a colon, which would end it" end
  if password:find("%s$") or password == "" and user:find("%s$") then
    return nil, "the credentials end in a blank, which readers of lines take off"
  end
  return address.host(proxy.host) .. ":" .. proxy.port .. ":" .. user .. ":" .. password .. "\n"
end

M.txt = {
  summary = "host:port:username:password a line; the protocol is not in it", extension = "txt",
  new = function() return { record = txt_record } end,
}

M.url = {
  summary = "protocol://username:password@host:port a line, percent-encoded", extension = "txt",
  new = function() return { record = function(proxy) return address.url(proxy) .. "\n" end } end,
}

-- Of a record's other fields nobody knows what they hold: what is neither text nor number has no
-- place in a line.
local function field(value)
  if value == nil then return "" end
  if type(value) == "number" then return tostring(value) end
  if type(value) ~= "string" then return "" end
  if not find(value, '[%s,"]') then return value end
  if not find(value, '[,"\r\n]') and not find(value, "^%s") and not find(value, "%s$") then
    return value
  end
  return '"' .. text.doubled(value) .. '"'
end

local function csv_record(proxy)
  local holder = text.holder(proxy, "\0")
  if holder then return nil, holder .. " holds a NUL, which readers of CSV take for the end" end
  return proxy.host .. "," .. proxy.port .. "," .. field(proxy.username) .. ","
    .. field(proxy.password) .. ","
    .. proxy.protocol .. "," .. field(proxy.country) .. "," .. field(proxy.order_id) .. "\r\n"
end

M.csv = {
  summary = "RFC 4180, with a heading", extension = "csv",
  new = function()
    return { head = "host,port,username,password,protocol,country,order_id\r\n",
      record = csv_record }
  end,
}

-- Scrapy decodes what is percent-encoded as UTF-8 and sends it as Latin-1; without a colon or a
-- username it fails or sends none.
local function scrapy_record(proxy)
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

M.scrapy = {
  summary = "ROTATING_PROXY_LIST_PATH of scrapy-rotating-proxies", extension = "txt",
  new = function() return { record = scrapy_record } end,
}

return M
