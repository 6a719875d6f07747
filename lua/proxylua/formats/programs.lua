-- Configurations with a line a proxy: curl, proxychains-ng, Squid, 3proxy, and the environment.

local address = require "proxylua.proxies.address"
local text = require "proxylua.formats.common"

local M = {}

local encode, login_of = address.encode, text.login

-- --- curl -K ---

-- Percent-encoded, nothing is left to quote. A colon is always there: without one curl asks for the
-- password.
local function curl_record(proxy, url)
  local holder = text.holder(proxy, "\0")
  if holder then return nil, holder .. " holds a NUL, which curl refuses" end
  local user, password = login_of(proxy)
  return 'proxy = "' .. proxy.protocol .. "://" .. address.host(proxy.host) .. ":" .. proxy.port
    .. '"\n'
    .. (user and 'proxy-user = "' .. encode(user) .. ":" .. encode(password) .. '"\n' or "")
    .. (url and 'url = "' .. url .. '"\n' or "")
end

M.curl = {
  summary = "curl -K FILE; several proxies need the option url, which each of them fetches",
    extension = "conf",
  options = { url = true },
  new = function(options)
    local url = options.url and options.url:gsub('[%c"\\ ]', address.encode)
    return { record = function(proxy, index)
      if index == 1 then return curl_record(proxy, url) end
      if not url then
        return nil, "curl takes one proxy a transfer: with several, say what each is to fetch (url)"
      end
      local section, why = curl_record(proxy, url)
      return section and "next\n" .. section, why
    end }
  end,
}

-- --- proxychains-ng ---

local chained = { http = "http", socks4 = "socks4", socks4a = "socks4", socks5 = "socks5",
  socks5h = "socks5" }

local function proxychains_login(proxy)
  local user, password = login_of(proxy)
  if not user then return "" end
  if user == "" then return nil, "proxychains has no way to write an empty username" end
  local holder = text.holder(proxy, "[%s%c]")
  if holder then return nil, holder .. " holds a blank or a control byte, which ends it" end
  if #user > 255 or #password > 255 then
    return nil, "proxychains takes at most 255 bytes of username and password"
  end
  return " " .. user .. " " .. password
end

local function proxychains_record(proxy)
  local protocol = chained[proxy.protocol]
  if not protocol then return nil, text.no_protocol("proxychains", proxy) end
  if not proxy.host:find("^%d+%.%d+%.%d+%.%d+$") and not proxy.host:find("^[%x:.]*:[%x:.]*$") then
    return nil, "proxychains takes addresses of proxies, and no names"
  end
  local login, why = proxychains_login(proxy)
  if not login then return nil, why end
  return protocol .. " " .. proxy.host .. " " .. proxy.port .. login .. "\n"
end

M.proxychains = {
  summary = "proxychains-ng; it reads the first 512 proxies", extension = "conf",
  new = function()
    return {
      head = "random_chain\nchain_len = 1\nproxy_dns\ntcp_read_time_out "
        .. "15000\ntcp_connect_time_out 8000\n"
        .. "[ProxyList]\n",
      record = proxychains_record,
    }
  end,
}

-- --- Squid ---

local function squid_login(proxy)
  local user, password = login_of(proxy)
  if not user then return "" end
  local holder = text.holder(proxy, "\0")
  if holder then return nil, holder .. " holds a NUL, which ends it in Squid" end
  if user:find("^%*") or user:find("^NEGOTIATE") then
    return nil, "a username that begins with * or NEGOTIATE has a meaning of its own in Squid"
  end
  return " login=" .. encode(user) .. ":" .. encode(password)
end

local function squid_record(proxy, index)
  if proxy.protocol ~= "http" and proxy.protocol ~= "https" then
    return nil, text.no_protocol("Squid", proxy)
  end
  local login, why = squid_login(proxy)
  if not login then return nil, why end
  return "cache_peer " .. proxy.host .. " parent " .. proxy.port
    .. " 0 no-query no-digest proxy-only round-robin name=proxy-" .. index
    .. (proxy.protocol == "https" and " tls" or "") .. login .. "\n"
end

M.squid = {
  summary = "cache_peer lines for squid.conf", extension = "conf",
  new = function()
    return { head = "never_direct allow all\n", record = squid_record }
  end,
}

-- --- 3proxy ---

-- parents among which one service chooses: their weights, whole numbers, add up to 1000
local GROUP = 1000

local parents = { http = "http", socks4 = "socks4", socks4a = "socks4+", socks5 = "socks5",
  socks5h = "socks5+" }

-- Its parser loses a quote or a dollar at the front of a quoted word, and its requests hold 128 and
-- 64 bytes.
local function three_login(proxy)
  local user, password = login_of(proxy)
  if not user then return "" end
  local why = text.not_in_line(proxy)
  if why then return nil, why end
  if user == "" then return nil, "3proxy has no way to write an empty username" end
  local holder = text.holder(proxy, '^["$]') or user:find("^%*") and "the username"
  if holder then
    return nil, holder .. ' begins with ", $ or *, which has a meaning of its own in 3proxy'
  end
  if #user > 128 or #password > 64 then
    return nil, "3proxy sends at most 128 bytes of a username and 64 of a password"
  end
  if password == "" then return ' "' .. text.doubled(user) .. '"' end
  return ' "' .. text.doubled(user) .. '" "' .. text.doubled(password) .. '"'
end

-- Some of the lines as parents of the same weight.
local function weigh(lines, from, to, weight)
  local start = "parent " .. weight
  return from > to and "" or start .. table.concat(lines, start, from, to)
end

-- Parents with their weights, and the service that chooses one of them.
local function service(lines, number)
  local least, more = GROUP // #lines, GROUP % #lines
  return (number > 0 and "flush\n" or "") .. "allow *\n" .. weigh(lines, 1, more, least + 1)
    .. weigh(lines, more + 1, #lines, least) .. ("proxy -i127.0.0.1 -p%d\n"):format(3128 + number)
end

local function three_writer()
  local lines, services = {}, 0
  local function flush()
    local whole = service(lines, services)
    lines, services = {}, services + 1
    return whole
  end
  return {
    head = "auth iponly\n",
    record = function(proxy)
      local kind = parents[proxy.protocol]
      if not kind then return nil, text.no_protocol("3proxy", proxy) end
      local login, why = three_login(proxy)
      if not login then return nil, why end
      lines[#lines + 1] = " " .. kind .. " " .. proxy.host .. " " .. proxy.port .. login .. "\n"
      return #lines == GROUP and flush() or ""
    end,
    tail = function(_, emit)
      if #lines > 0 then emit(flush()) end
    end,
  }
end

M["3proxy"] = {
  summary = "3proxy, with a service for each thousand proxies, from port 3128 on",
    extension = "cfg",
  new = three_writer,
}

-- --- the environment ---

local function env_record(proxy, index)
  local holder = text.holder(proxy, "\0")
  if holder then
    return nil, holder .. " holds a NUL, which no program takes from its environment"
  end
  local url, first = address.url(proxy), ""
  if index == 1 then
    for _, name in ipairs{ "http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY" } do
      first = first .. name .. "=" .. url .. "\n"
    end
  end
  return first .. "PROXY_" .. index .. "=" .. url .. "\n"
end

M.env = {
  summary = "NAME=URL lines for sh (set -a; . FILE), Docker and systemd: the first as http_proxy "
    .. "…, all as PROXY_1 …",
  extension = "env", new = function() return { record = env_record } end,
}

return M
