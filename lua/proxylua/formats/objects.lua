-- Formats that are JSON, with an object a line: a list of records, and what the browsers'
-- extensions FoxyProxy, SwitchyOmega and ZeroOmega import.

local address = require "proxylua.proxies.address"
local text = require "proxylua.formats.common"

local M = {}

local quote = text.quote

--- A writer of objects between commas.
-- @param head, tail texts around them
-- @param record function of a proxy, its number, and what comes before the object
local function between(head, record, tail)
  return {
    head = head,
    record = function(proxy, index) return record(proxy, index, index > 1 and ",\n" or "") end,
    tail = function(_, emit) emit(tail) end,
  }
end
M.between = between

local function optional(name, value)
  return value and ',"' .. name .. '":' .. (quote(tostring(value)) or "null") or ""
end

local function json_record(proxy, _, before)
  local login, why = text.login_pairs(proxy)
  if not login then return nil, why end
  return before .. '{"host":"' .. proxy.host .. '","port":' .. proxy.port .. login
    .. ',"protocol":"' .. proxy.protocol
    .. '","url":"' .. address.url(proxy) .. '"' .. optional("country", proxy.country)
    .. optional("order_id", proxy.order_id) .. "}"
end

M.json = {
  summary = "a JSON list of records, one a line", extension = "json",
  new = function() return between("[\n", json_record, "\n]\n") end,
}

-- A proxy that resolves names itself is one with proxyDNS.
local foxy = {
  http = "http", https = "https", socks4 = "socks4", socks4a = "socks4", socks5 = "socks5",
    socks5h = "socks5",
}

local function foxyproxy_record(proxy, index, before)
  local login, why = text.login_pairs(proxy)
  if not login then return nil, why end
  local protocol = proxy.protocol
  local dns = protocol == "socks5h" or protocol == "socks4a"
  return before .. '{"active":true,"title":"proxy-' .. index .. '","type":"' .. foxy[protocol]
    .. '","hostname":"' .. proxy.host
    .. '","port":"' .. proxy.port .. '"' .. (login == "" and ',"username":"","password":""'
    or login)
    .. ',"cc":"","city":"","color":"#66cc66","pac":"","pacString":"","proxyDNS":' .. tostring(dns)
    .. ',"include":[],"exclude":[],"tabProxy":[]}'
end

M.foxyproxy = {
  summary = "the import file of FoxyProxy 8", extension = "json",
  new = function()
    return between(
      '{"mode":"disable","sync":false,"autoBackup":false,"passthrough":"",'
        .. '"theme":"","container":{},'
      .. '"commands":{},"data":[\n', foxyproxy_record, "\n]}\n")
  end,
}

local omega = { http = "http", https = "https", socks4 = "socks4", socks5 = "socks5",
  socks5h = "socks5" }

local function switchyomega_record(proxy, index, before)
  local protocol = omega[proxy.protocol]
  if not protocol then return nil, text.no_protocol("SwitchyOmega", proxy) end
  local login, why = text.login_pairs(proxy)
  if not login then return nil, why end
  local auth = login ~= "" and ',"auth":{"fallbackProxy":{' .. login:sub(2) .. "}}" or ""
  local name = '"proxy-' .. index .. '"'
  return before .. '"+proxy-' .. index .. '":{"name":' .. name
    .. ',"profileType":"FixedProfile","color":"#99ccee",'
    .. '"bypassList":[{"conditionType":"BypassCondition","pattern":"<local>"}],"fallbackProxy":'
    .. '{"scheme":"' .. protocol
    .. '","host":"' .. proxy.host .. '","port":' .. proxy.port .. "}" .. auth .. "}"
end

M.switchyomega = {
  summary = "the backup file of SwitchyOmega and ZeroOmega", extension = "bak",
  new = function()
    local writer = between("{\n", switchyomega_record, "")
    function writer.tail(count, emit)
      emit((count > 0 and ",\n" or "") .. '"schemaVersion":2\n}\n')
    end
    return writer
  end,
}

return M
