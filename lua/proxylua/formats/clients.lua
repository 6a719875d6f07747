-- Configurations of proxy clients that choose among many: Clash (mihomo), sing-box and gost. Each
-- listens on the machine alone.

local objects = require "proxylua.formats.objects"
local text = require "proxylua.formats.common"
local address = require "proxylua.proxies.address"

local M = {}

-- The names "proxy-1" … of so many, a few hundred at once.
local function emit_names(count, emit, format)
  local names = {}
  for index = 1, count do
    names[#names + 1] = format:format(index)
    if #names == 512 or index == count then
      emit(table.concat(names))
      names = {}
    end
  end
end

-- --- Clash: YAML, in which every proxy is an object of JSON on a line ---

local clash = { http = "http", https = "http", socks5 = "socks5", socks5h = "socks5" }

local function clash_record(proxy, index)
  local protocol = clash[proxy.protocol]
  if not protocol then return nil, text.no_protocol("Clash", proxy) end
  local login, why = text.login_pairs(proxy)
  if not login then return nil, why end
  return '- {"name":"proxy-' .. index .. '","type":"' .. protocol .. '","server":"' .. proxy.host
    .. '","port":'
    .. proxy.port .. login .. (proxy.protocol == "https" and ',"tls":true' or "") .. "}\n"
end

local function clash_tail(count, emit)
  emit('proxy-groups:\n- name: proxies\n  type: select\n  proxies:\n')
  emit_names(count, emit, "  - proxy-%d\n")
  if count == 0 then emit("  - DIRECT\n") end
  emit("rules:\n- MATCH,proxies\n")
end

M.clash = {
  summary = "Clash and mihomo", extension = "yaml",
  new = function()
    return { head = "mixed-port: 7890\nproxies:\n", record = clash_record, tail = clash_tail }
  end,
}

-- --- sing-box ---

local versions = { socks4 = "4", socks4a = "4a", socks5 = "5", socks5h = "5" }

local function sing_box_record(proxy, index)
  local version = versions[proxy.protocol]
  local login, why = text.login_pairs(proxy)
  if not login then return nil, why end
  return '{"type":"' .. (version and "socks" or "http") .. '","tag":"proxy-' .. index
    .. '","server":"' .. proxy.host
    .. '","server_port":' .. proxy.port .. (version and ',"version":"' .. version .. '"' or "")
    .. login
    .. (proxy.protocol == "https" and ',"tls":{"enabled":true}' or "") .. "},\n"
end

local function sing_box_tail(count, emit)
  emit('{"type":"direct","tag":"direct"},\n{"type":"selector","tag":"proxies","outbounds":[\n')
  emit_names(count, emit, '"proxy-%d",\n')
  emit('"direct"]}],\n"route":{"final":"proxies"}}\n')
end

M["sing-box"] = {
  summary = "sing-box", extension = "json",
  new = function()
    return {
      head =
        '{"inbounds":[{"type":"mixed","listen":"127.0.0.1","listen_port":2080}],\n"outbounds":[\n',
      record = sing_box_record, tail = sing_box_tail,
    }
  end,
}

-- --- gost 3 ---

local connectors = {
  http = "http", https = "http", socks4 = "socks4", socks4a = "socks4", socks5 = "socks5",
    socks5h = "socks5",
}

local function gost_record(proxy, index, before)
  local login, why = text.login_pairs(proxy)
  if not login then return nil, why end
  return before .. '{"name":"proxy-' .. index .. '","addr":"' .. address.host(proxy.host) .. ":"
    .. proxy.port
    .. '","connector":{"type":"' .. connectors[proxy.protocol] .. '"'
    .. (login ~= "" and ',"auth":{' .. login:sub(2) .. "}" or "")
    .. '},"dialer":{"type":"' .. (proxy.protocol == "https" and "tls" or "tcp") .. '"}}'
end

M.gost = {
  summary = "gost 3", extension = "json",
  new = function()
    return objects.between('{"services":[{"name":"local","addr":"127.0.0.1:8080",'
      .. '"handler":{"type":"auto","chain":"proxies"},"listener":{"type":"tcp"}}],\n'
      .. '"chains":[{"name":"proxies","hops":[{"name":"proxies",'
      .. '"selector":{"strategy":"round","maxFails":1,"failTimeout":"30s"},"nodes":[\n',
      gost_record, "\n]}]}]}\n")
  end,
}

return M
