-- proxychains-ng.

local address = require "proxylua.proxies.address"
local text = require "proxylua.formats.common"
local txt = require "proxylua.formats.txt"

local M = { name = "proxychains", extension = "conf",
  summary = "proxychains-ng; it reads the first 512 proxies" }

local types = { http = "http", socks4 = "socks4", socks5 = "socks5" }

local function login_of(proxy)
  local user, password = text.login(proxy)
  if not user then return "" end
  if user == "" then return nil, "proxychains has no way to write an empty username" end
  if password == "" then return nil, "proxychains has no way to write an empty password" end
  local holder = text.holder(proxy, "[%s%c]")
  if holder then return nil, holder .. " holds a blank or a control byte, which ends it" end
  if #user > 255 or #password > 255 then
    return nil, "proxychains takes at most 255 bytes of username and password"
  end
  return " " .. user .. " " .. password
end

local function record(proxy)
  local protocol = types[proxy.protocol]
  if not protocol then return nil, text.no_protocol("proxychains", proxy) end
  if not proxy.host:find("^%d+%.%d+%.%d+%.%d+$") and not proxy.host:find("^[%x:.]*:[%x:.]*$") then
    return nil, "proxychains takes addresses of proxies, and no names"
  end
  local login, why = login_of(proxy)
  if not login then return nil, why end
  return protocol .. " " .. proxy.host .. " " .. proxy.port .. login .. "\n"
end

function M.new()
  return {
    head = "random_chain\nchain_len = 1\nproxy_dns\ntcp_read_time_out "
      .. "15000\ntcp_connect_time_out 8000\n"
      .. "[ProxyList]\n",
    record = record,
  }
end

local directives = {}
for name in ([[strict_chain dynamic_chain random_chain round_robin_chain chain_len quiet_mode
  proxy_dns proxy_dns_old proxy_dns_daemon remote_dns_subnet tcp_read_time_out
  tcp_connect_time_out localnet dnat]]):gmatch("%S+") do
  directives[name] = true
end

local function directive_of(line)
  local name = line:match("^%s*([%l_]+)%f[^%l_]")
  return directives[name] and name or nil
end

--- Whether a line is one of this configuration beyond doubt.
function M.is_sign(line)
  return line:find("^%s*%[ProxyList%]") ~= nil or directive_of(line) ~= nil
end

local function parse(line)
  if line:find("^%s*%[ProxyList%]%s*$") or directive_of(line) then return nil end
  local words = {}
  for word in line:gmatch("%S+") do words[#words + 1] = word end
  local protocol = address.protocol(words[1])
  if not protocol then
    if words[1] == "raw" then return nil, nil, "raw" end
    return nil, "neither a directive nor: type host port user password"
  end
  if #words ~= 3 and #words ~= 5 then
    return nil, "expected: type host port, and user and password or neither"
  end
  return address.complete{ protocol = protocol, host = words[2], port = words[3],
    username = words[4], password = words[5] }
end

function M.read(reader)
  return txt.each_line(reader, parse)
end

return M
