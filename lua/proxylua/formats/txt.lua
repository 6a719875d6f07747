-- A proxy a line: host:port:username:password, a URL, or any other shape of proxies/address.lua.

local address = require "proxylua.proxies.address"
local fields = require "proxylua.formats.fields"
local lines = require "proxylua.util.lines"
local text = require "proxylua.formats.common"

local M = {
  name = "txt", extension = "txt",
  summary = "host:port:username:password a line for http; other protocols as URLs",
}

-- Whether readers of lines see the same credentials.
local function is_read_alike(line, proxy)
  local read = address.parse(line)
  return read and read.host == proxy.host and read.port == proxy.port
    and (read.username or "") == (proxy.username or "")
    and (read.password or "") == (proxy.password or "")
end

local find = string.find

local function record(proxy)
  local user, password = text.login(proxy)
  if proxy.protocol ~= "http" then return address.url(proxy) .. "\n" end
  local host = address.host(proxy.host)
  if user and find(host, "^[%d.]+$") and address.is_usual_login(user, password) then
    return host .. ":" .. proxy.port .. ":" .. user .. ":" .. password .. "\n"
  end
  if not user then
    local line = host .. ":" .. proxy.port
    if find(host, "^%d") or is_read_alike(line, proxy) then return line .. "\n" end
    return address.url(proxy) .. "\n"
  end
  local why = text.not_in_line(proxy)
  if why then return nil, why end
  if find(user, ":", 1, true) then return nil, "the username holds a colon, which would end it" end
  local holder = text.holder(proxy, "%s")
  if holder then return nil, holder .. " holds a blank, where readers of lines end it" end
  local line = host .. ":" .. proxy.port .. ":" .. user .. ":" .. password
  if is_read_alike(line, proxy) then return line .. "\n" end
  return nil, "readers would take the line for something else; write a URL"
end

function M.new() return { record = record } end

--- Whether a line has nothing to read.
function M.is_empty(line)
  if find(line, "^%w") then return false end
  return not find(line, "[^%s]") or find(line, "^%s*[#;]") ~= nil or find(line, "^%s*//") ~= nil
end

local is_empty = M.is_empty

--- Calls parse(line) for each line that is not empty.
-- @param parse function that returns a record; nil and why, and the type of what proxylua cannot
--   use; nothing for a line that is not to be read
-- @param on_comment function of a comment, may be left out
-- @return function that returns the next record; nil at the end; false, why and the line of what is
--   not a proxy; false, nil, the line and the type of what cannot be used
function M.each_line(reader, parse, on_comment)
  return function()
    while true do
      local line = reader:line(true)
      if line == nil then return nil end
      if line == false then
        return false, ("the line is longer than %d bytes"):format(lines.longest), reader.number
      end
      if not is_empty(line) then
        local proxy, why, other = parse(line)
        if proxy then return proxy end
        if other then return false, nil, reader.number, other end
        if why then return false, why, reader.number end
      elseif on_comment then
        on_comment(line)
      end
    end
  end
end

local titles <const> = 20 -- lines before a list that may say what it is

local layouts = { ["host:port"] = true, ["host:port:username:password"] = true,
  ["username:password:host:port"] = true, ["username:password@host:port"] = true }

-- A line that names the fields of those below, in an order that they are read in.
local function is_layout(line)
  if not find(line, "^[%a:@_ -]+$") then return false end
  return layouts[line:gsub("[%a_-]+", function(name)
    local meaning = fields.meaning(name)
    return meaning == "ip" and "host" or meaning or "?"
  end)] == true
end

local MAX_SECTION <const> = 60 -- bytes

-- The protocol that a line names without another word: that of the proxies below it, as in
-- "=== SOCKS5 ===", "[http]" and "# SOCKS4 proxies".
local function section_of(line)
  if #line > MAX_SECTION then return nil end
  local name, rest = line:lower():match("^[%s#;/=*_%[(<-]*(%a%w*)[%s%])>=*_:-]*(.-)[%s%])>=*_:-]*$")
  if rest == "" or rest == "proxies" or rest == "proxy" or rest == "list" then
    return address.protocol(name)
  end
end

local ambiguous_section <const> = "HTTPS may be the protocol of the proxies or that of the pages; "
  .. "give --protocol or write URLs"

-- Words in columns, which may be the names of those below.
local function is_unknown_heading(words)
  return find(words, "^[^,;|\t]+,[^,;|\t]+,[^.!?]*$") or find(words, "[;|\t]")
end

-- A line of words, in which nothing looks like a part of an address or names a protocol. An address
-- has digits.
local function is_title(line)
  local words = line:lower()
  if find(words, "socks", 1, true) or find(words, "^%s*[%w-]+%.[%w.-]+%s") then return false end
  if not find(words, "%d") then
    return find(words, "^%s*%a") and find(words, "%s%S") and not is_unknown_heading(words)
      or find(words, "^%s*%a+:%s*$") or find(words, "^%s*[-=*_]+%s*$") ~= nil
  end
  if find(words, "[@|;]") or find(words, "://", 1, true) or find(words, "socks", 1, true)
    or find(words, "%d+%.%d+%.%d+%.%d+") or find(words, "%w%.%w[%w.]*:%d") then
    return false
  end
  return find(words, "^%s*%a") and (find(words, "%s%S") or find(words, ":%s*$")) ~= nil
    or find(words, "^%s*[-=*_]+%s*$") ~= nil
end

--- Reads a list of lines. What stands before the first proxy may be a title.
function M.read(reader, context)
  local protocol, begun, before, last = context.protocol, false, 0, ""
  local parse = address.parse
  return M.each_line(reader, function(line)
    local proxy, why, other = parse(line, protocol)
    if proxy or other then
      begun, last = true, line
      return proxy, why, other
    end
    -- Among URLs, "http:" is what is left of one.
    local is_cut = find(last, "://", 1, true) and find(line, "^%s*%a%w*:?%s*$")
    local section = not is_cut and section_of(line)
    if section == "https" then return nil, ambiguous_section end
    if section then
      protocol = section
      return nil, nil, "title"
    end
    if find(last, "^%s*[\"']") and find(line, "^[%s%](){},;]+$") then return nil, nil, "bracket" end
    if begun then return nil, why end
    before = before + 1
    if before <= titles and (is_title(line) or is_layout(address.trim(line))) then
      return nil, nil, "title"
    end
    begun = true
    return nil, why
  end, function(line)
    local section = section_of(line)
    if section then protocol = section ~= "https" and section or context.protocol end
  end)
end

return M
