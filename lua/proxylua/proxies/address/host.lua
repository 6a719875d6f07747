-- Hosts and ports of proxies. All patterns are linear in the text.

local core = require "proxylua.core"

local M = {}

local find, match, lower = string.find, string.match, string.lower

local is_ipv4 = core.decode.is_ipv4
M.is_ipv4 = is_ipv4

--- A host as it stands before a colon: IPv6 in brackets.
function M.before_colon(host)
  return find(host, ":", 1, true) and "[" .. host .. "]" or host
end

--- A host without its brackets.
function M.without_brackets(host)
  return match(host, "^%[(.*)%]$") or host
end

--- The host of a text that is not a URL. Browsers show the zone of an IPv6 address as in a URL,
-- where %25 stands for the %.
function M.of_text(host)
  host = M.without_brackets(host)
  if find(host, "%25", 1, true) then host = host:gsub("^([%x:.]*:[%x:.]*)%%25(.)", "%1%%%2") end
  return host
end

-- The 16-bit groups that a part of an IPv6 address has; nil for an invalid one.
local function groups(part)
  if part == "" then return 0 end
  local count, ends = 0, false
  for group in (part .. ":"):gmatch("([^:]*):") do
    if ends then return nil end
    if find(group, ".", 1, true) then
      if not is_ipv4(group) then return nil end
      count, ends = count + 2, true
    elseif find(group, "^%x%x?%x?%x?$") then
      count = count + 1
    else
      return nil
    end
  end
  return count
end

local function is_ipv6(host)
  if #host > 100 then return false end
  local plain, zone = match(host, "^([^%%]*)%%?(.*)$")
  if find(host, "%", 1, true) and not find(zone, "^[%w._-]+$") then return false end
  local left, right = match(plain, "^(.-)::(.*)$")
  if not left then return groups(plain) == 8 end
  local before, after = groups(left), groups(right)
  return before and after and before + after < 8 and not find(left, ".", 1, true)
end

local function is_name(host)
  if #host > 253 then return false end
  for label in (host:gsub("%.$", "") .. "."):gmatch("([^.]*)%.") do
    if #label > 63 or not find(label, "^[%w_][%w_-]*$") then return false end
  end
  return true
end

--- Whether a text without brackets can be a host; else false and why.
function M.is_host(host)
  if is_ipv4(host) then return true end
  if find(host, ":", 1, true) then
    if is_ipv6(host) then return true end
    return false, ("%q is not an IPv6 address"):format(host)
  end
  if find(host, "^[%d.]+$") then
    return false, ("%q is not an IPv4 address (four numbers from 0 to 255 without leading zeros)")
      :format(host)
  end
  if not is_name(host) then
    return false, host == "" and "the host is missing"
      or ("%q is not the name or the address of a host"):format(host)
  end
  if find(host, "%f[^.\0]%d+%.?$") and find(host, ".", 1, true) then
    return false, ("%q is not the name or the address of a host"):format(host)
  end
  return true
end

local is_host = M.is_host

--- Whether a text can be the host of a line; else false, and perhaps why. A word without a dot is
-- rarely one, and often a title, a user or a country.
function M.is_place(host)
  if find(host, ".", 1, true) or find(host, ":", 1, true) or lower(host) == "localhost" then
    return is_host(host)
  end
  return false
end

--- Why a text is not the host of a line.
function M.why_not_place(host)
  local _, why = M.is_place(host)
  if why then return why end
  if find(host, "^[%w_-]+$") then
    return ("%q is a word without a dot; if it is a host, write a URL, such as http://%s:PORT")
      :format(host, host)
  end
  return ("%q is not the address of a host"):format(host)
end

--- Why a text that begins with an IPv6 address without brackets, or has nothing else, is refused.
function M.why_bare_ipv6(text)
  if find(text, "^[%x:]*%x?::%x") or find(text, "^" .. ("%x+:"):rep(7) .. "%x")
    or find(text, "^[%x:]+$") and select(2, text:gsub(":", "")) > 4 then
    return "an IPv6 address must stand in brackets: [2001:db8::1]:8080"
  end
end

--- The port that a text or an integer stands for, nil for any other value.
function M.port(value)
  if math.type(value) == "integer" then return value > 0 and value < 65536 and value or nil end
  local text = tostring(value)
  local digits = match(text, "^([1-9]%d?%d?%d?%d?)$") or match(text, "^([1-9]%d?%d?%d?%d?)%.0$")
  local port = digits and math.tointeger(tonumber(digits))
  return port and port < 65536 and port or nil
end

--- Whether a text is the digits of a port.
function M.is_port(text)
  return find(text, "^%d+$") and M.port(text) ~= nil
end

return M
