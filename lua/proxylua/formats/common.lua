-- What formats share: credentials as texts, what they hold, and strings as JSON and YAML both read
-- them.

local core = require "proxylua.core"

local M = {}

local find, quote_ascii = string.find, core.quote.json

--- The username and the password of a proxy, "" where one is absent; nil when it has neither.
function M.login(proxy)
  local user, password = proxy.username or "", proxy.password or ""
  if user ~= "" or password ~= "" then return user, password end
end

--- Which of the credentials match a pattern, for a reason: "the password"; nil when none does.
function M.holder(proxy, pattern)
  local user, password = proxy.username, proxy.password
  if user and find(user, pattern) then return "the username" end
  if password and find(password, pattern) then return "the password" end
end

--- A text whose quotes are doubled.
function M.doubled(value)
  return find(value, '"', 1, true) and value:gsub('"', '""') or value
end

-- The reason for which a line cannot hold the credentials; nil when it can.
local function not_in_line(proxy)
  local holder = M.holder(proxy, "%c")
  return holder and holder .. " holds a control byte, and the format has no way to write one"
end
M.not_in_line = not_in_line

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
for byte = 0, 127 do
  local character = string.char(byte)
  if character:find("%c") and not escapes[character] then
    escapes[character] = ("\\u%04x"):format(byte)
  end
end

-- Characters that YAML does not take as they are, or that some reader takes for the end of a line.
local special = { "\xC2[\x80-\x9F]", "\xE2\x80[\xA8\xA9]", "\xEF\xBB\xBF", "\xEF\xBF[\xBE\xBF]" }

local function escape(character)
  return ("\\u%04x"):format(utf8.codepoint(character, 1, 1))
end

--- A string as JSON and as YAML has it; nil for bytes that are not UTF-8.
function M.quote(text)
  local ascii = quote_ascii(text)
  if ascii then return ascii end
  if not utf8.len(text) then return nil end
  text = text:gsub('[%c"\\]', escapes)
  for _, pattern in ipairs(special) do text = text:gsub(pattern, escape) end
  return '"' .. text .. '"'
end

--- The pairs `,"username":"…","password":"…"`; "" without credentials. Nil and why where they are
-- not UTF-8.
function M.login_pairs(proxy)
  local user, password = M.login(proxy)
  if not user then return "" end
  local quoted_user, quoted_password = M.quote(user), M.quote(password)
  if not quoted_user or not quoted_password then
    return nil, (quoted_user and "the password" or "the username")
      .. " holds bytes that are not UTF-8"
  end
  return ',"username":' .. quoted_user .. ',"password":' .. quoted_password
end

--- Why a program sends no credentials where a part of them is empty; nil where it sends them.
-- @param needs_password whether it sends none without a password either
function M.lost_login(program, proxy, needs_password)
  local user, password = M.login(proxy)
  if not user then return nil end
  local part = not find(user, "%S") and "username"
    or needs_password and password == "" and "password" or nil
  return part and ("%s sends no credentials where the %s is empty"):format(program, part)
end

--- Why a host cannot be written for a program that puts it into a PAC script as it is; nil if it
-- can. An IPv6 address needs brackets there, and browsers connect directly without them. Elsewhere
-- the same program takes no brackets.
function M.not_in_pac(program, proxy)
  return find(proxy.host, ":", 1, true)
    and program .. " cannot use an IPv6 address in Chrome, which would connect directly" or nil
end

--- A writer of objects between commas.
-- @param head, tail texts around them
-- @param record function of a proxy, its number, and what comes before the object
function M.between(head, record, tail)
  return {
    head = head,
    record = function(proxy, index) return record(proxy, index, index > 1 and ",\n" or "") end,
    tail = function(_, emit) emit(tail) end,
  }
end

--- Writes the names "proxy-1" … of so many, a few hundred at once.
function M.emit_names(count, emit, format)
  local names = {}
  for index = 1, count do
    names[#names + 1] = format:format(index)
    if #names == 512 or index == count then
      emit(table.concat(names))
      names = {}
    end
  end
end

-- What resolves names itself is another protocol than what leaves that to the program.
local resolving = { socks5h = "socks5", socks4a = "socks4" }

--- Why a proxy of this protocol is refused.
function M.no_protocol(program, proxy)
  local plain = resolving[proxy.protocol]
  return program .. " has no proxies of the protocol " .. proxy.protocol
    .. (plain and (", which sends names of hosts to the proxy, unlike %s"):format(plain) or "")
end

return M
