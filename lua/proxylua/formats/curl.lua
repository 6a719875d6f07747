-- curl -K: a transfer a proxy.

local address = require "proxylua.proxies.address"
local text = require "proxylua.formats.common"
local txt = require "proxylua.formats.txt"

local M = {
  name = "curl", extension = "conf", never_empty = true, options = { url = true },
  summary = "curl -K FILE; several proxies need the option url, which each of them fetches",
}

-- Percent-encoded, nothing is left to quote. A colon is always there: without one curl asks for the
-- password.
local function record(proxy, url)
  local holder = text.holder(proxy, "\0")
  if holder then return nil, holder .. " holds a NUL, which curl refuses" end
  local user, password = text.login(proxy)
  return 'proxy = "' .. proxy.protocol .. "://" .. address.host(proxy.host) .. ":" .. proxy.port
    .. '"\n'
    .. (user and 'proxy-user = "' .. address.encode(user) .. ":" .. address.encode(password)
    .. '"\n' or "")
    .. (url and 'url = "' .. url .. '"\n' or "")
end

function M.new(options)
  local url = options.url and options.url:gsub('[%c"\\ ]', address.encode)
  return { record = function(proxy, index)
    if index == 1 then return record(proxy, url) end
    if not url then
      return nil, "curl takes one proxy a transfer: with several, give the URL that each fetches"
    end
    local section, why = record(proxy, url)
    return section and "next\n" .. section, why
  end }
end

local escapes = { t = "\t", n = "\n", r = "\r", v = "\v" }

-- The name and the value of a line; nil, nil and why; and what follows a value without quotes,
-- which curl ignores.
local function pair(line)
  local usual_name, usual = line:match('^([%w-]+) = "([^"\\]*)"$')
  if usual_name then return usual_name, usual end
  if line:find("^%s*%a[%w+.-]*://") then return nil end
  local name, value = line:match("^%s*%-*([%w-]+)%s*[=:%s]%s*(.*)$")
  if not name then return line:match("^%s*%-*([%w-]+)%s*$") end
  if value:sub(1, 1) ~= '"' then
    local first, rest = value:match("^(%S*)%s*(.*)$")
    return name, first, nil, rest
  end
  local parts, at = {}, 2
  while true do
    local plain, stop, after = value:match('^([^"\\]*)(["\\])()', at)
    if not plain then return name, nil, "a quoted value has no end" end
    parts[#parts + 1] = plain
    if stop == '"' then return name, table.concat(parts) end
    local letter = value:sub(after, after)
    parts[#parts + 1] = escapes[letter] or letter
    at = after + 1
  end
end

-- Options whose value is a proxy, with its protocol where the value has none.
local proxies = { proxy = "http", x = "http", ["proxy1.0"] = "http", socks4 = "socks4",
  socks4a = "socks4a", socks5 = "socks5", ["socks5-hostname"] = "socks5h" }
local logins = { ["proxy-user"] = true, U = true }
local ours = { url = true, next = true }

-- Options beside a proxy that change nothing of where it is and who it takes.
local harmless = {}
for name in ([[noproxy proxytunnel p proxy-anyauth proxy-basic proxy-digest proxy-ntlm
  proxy-negotiate proxy-insecure proxy-header proxy-cacert proxy-capath]]):gmatch("%S+") do
  harmless[name] = true
end

--- Whether a line is one of a curl config that sets a proxy.
function M.is_sign(line)
  local name, value = pair(line)
  if not proxies[name] or not value or value:find("^%s*$") then return false end
  return address.parse(value, proxies[name]) ~= nil or line:find('^%s*%-*[%w-]+%s*=%s*"') ~= nil
end

local function complete(now, protocol)
  local usual = proxies[now.name] == "http" and protocol or proxies[now.name]
  local proxy, why, other = address.parse(now.proxy, usual)
  if not proxy then return nil, why, other end
  if now.login then
    local user, password = now.login:match("^([^:]*):?(.*)$")
    proxy.username, proxy.password = address.decode(user), address.decode(password)
  end
  return address.complete(proxy)
end

function M.read(reader, context)
  local now, ended = {}, false
  local function finish()
    local done = now
    now = {}
    if not done.proxy then
      if done.login then return nil, "credentials without a proxy", nil, done.number end
      return nil
    end
    local proxy, why, other = complete(done, context.protocol)
    return proxy, why, other, done.number
  end
  local function take(line)
    local name, value, why, rest = pair(line)
    if why then return nil, why end
    if rest and rest:find("^[^#]") and (proxies[name] or logins[name]) then
      return nil, ("%q follows the value; a value with blanks needs quotes"):format(rest)
    end
    if proxies[name] then
      local proxy, reason, other, number = nil, nil, nil, nil
      if now.proxy then proxy, reason, other, number = finish() end
      now.name, now.proxy, now.number = name, value or "", reader.number
      return proxy, reason, other, number
    elseif logins[name] then
      if now.login then return nil, "credentials without a proxy of their own" end
      now.login, now.number = value or "", now.number or reader.number
    elseif name == "next" then
      return finish()
    elseif not ours[name] then
      if not name then return nil, "not an option of curl" end
      if not harmless[name] and (name:find("proxy", 1, true) or name:find("socks", 1, true)
        or address.protocol(name)) then
        return nil, ("the option %s is not understood"):format(name)
      end
      return nil, nil, "other option"
    end
  end
  return function()
    while not ended do
      local line = reader:line(true)
      local proxy, why, other, number
      if line == nil then
        ended = true
        proxy, why, other, number = finish()
      elseif line == false then
        why = "the line is too long"
      elseif not txt.is_empty(line) then
        proxy, why, other, number = take(line)
      end
      if proxy then return proxy end
      if other then return false, nil, number or reader.number, other end
      if why then return false, why, number or reader.number end
    end
  end
end

return M
