-- 3proxy: parents among which its services choose.

local address = require "proxylua.proxies.address"
local names = require "proxylua.util.names"
local text = require "proxylua.formats.common"
local txt = require "proxylua.formats.txt"

local M = { name = "3proxy", extension = "cfg",
  summary = "3proxy, with a service for each thousand proxies, from port 3128 on" }

-- parents among which one service chooses: their weights, whole numbers, add up to 1000
local GROUP = 1000

local types = { http = "http", socks4 = "socks4", socks4a = "socks4+", socks5 = "socks5",
  socks5h = "socks5+" }

-- Its parser loses a quote or a dollar at the front of a quoted word, and its requests hold 128 and
-- 64 bytes.
local function login_of(proxy)
  local user, password = text.login(proxy)
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

function M.new()
  local lines, services = {}, 0
  local function flush()
    local whole = service(lines, services)
    lines, services = {}, services + 1
    return whole
  end
  return {
    head = "auth iponly\n",
    record = function(proxy)
      local kind = types[proxy.protocol]
      if not kind then return nil, text.no_protocol("3proxy", proxy) end
      local login, why = login_of(proxy)
      if not login then return nil, why end
      lines[#lines + 1] = " " .. kind .. " " .. proxy.host .. " " .. proxy.port .. login .. "\n"
      return #lines == GROUP and flush() or ""
    end,
    tail = function(_, emit)
      if #lines > 0 then emit(flush()) end
    end,
  }
end

-- Where a quoted word ends; a quote in it is doubled.
local function closing(line, from)
  while true do
    local ending = line:find('"', from, true)
    if not ending or line:sub(ending + 1, ending + 1) ~= '"' then return ending end
    from = ending + 2
  end
end

-- Words between blanks, or in quotes; nil and why.
local function words_of(line)
  local list, at = {}, line:match("^%s*()")
  while at <= #line do
    if line:sub(at, at) == '"' then
      local ending = closing(line, at + 1)
      if not ending then return nil, "a quoted word has no end" end
      list[#list + 1], at = line:sub(at + 1, ending - 1):gsub('""', '"'), ending + 1
    else
      list[#list + 1], at = line:match("^(%S+)()", at)
    end
    at = line:match("^%s*()", at)
  end
  return list
end

-- The types of parents in 3proxy's src/conf.c (redirs). An s behind one is TLS to the parent. Those
-- without a protocol lead to services of 3proxy itself, to addresses, or to servers of mail.
local read_types = { connect = "http", http = "http", ["connect+"] = "http", socks4 = "socks4",
  socks4b = "socks4", socks5 = "socks5", socks5b = "socks5", ["socks5+"] = "socks5h",
  ["socks4+"] = "socks4a", tcp = false, pop3 = false, imap = false, smtp = false, ftp = false,
  admin = false, extip = false, tls = false, ha = false, dns = false }

-- The protocol of a type; nil and why, and the type if it is not that of a proxy.
local function protocol_of(kind)
  local plain = read_types[kind] == nil and kind:match("^(.*)s$") or kind
  local protocol = read_types[plain]
  if protocol == nil then return nil, ("3proxy has no parents of the type %s"):format(kind) end
  if not protocol then return nil, nil, kind end
  if plain == kind then return protocol end
  if protocol == "http" then return "https" end
  return nil, ("%s over TLS is not a protocol that proxylua can use"):format(protocol)
end

--- Whether a line has a parent, or is one that the program writes.
function M.is_sign(line)
  return line:find("^%s*parent%s+%d+%s+%a") ~= nil or line:find("^%s*auth%s+iponly") ~= nil
end

local ours = { auth = true, allow = true, flush = true, proxy = true }
local parent = { parent = true }

-- parent 1000 type host port user password
local function parse(line)
  local list, why = words_of(line)
  if not list then return nil, why end
  if list[1] ~= "parent" then
    if ours[list[1]] then return nil end
    if names.nearest(list[1], parent) then
      return nil, ("%s is not a command of 3proxy; did you mean parent?"):format(list[1])
    end
    return nil, nil, "other command"
  end
  local protocol, reason, other = protocol_of(list[3] or "")
  if not protocol then return nil, reason, other end
  if #list > 7 then return nil, "more than: parent WEIGHT TYPE HOST PORT USER PASSWORD" end
  return address.complete{ protocol = protocol, host = list[4], port = list[5], username = list[6],
    password = list[7] }
end

function M.read(reader)
  return txt.each_line(reader, parse)
end

return M
