-- The forms in which files hold proxies. Each is a function of a reader (proxylua.util.lines), its
-- first line (JSON needs none) and the protocol for where none is told; it answers a function that
-- answers the next record, nothing at the end, and false and why for what is no proxy.

local core = require "proxylua.core"
local address = require "proxylua.proxies.address"
local objects = require "proxylua.formats.records"

local M = {}

-- --- a proxy a line ---

-- The lines of a reader, of which the first has been read.
local function lines_from(reader, first, raw)
  return function()
    local line = first
    first = nil
    return line or reader:line(raw)
  end
end

-- Lines that `parse` answers nothing for are no proxies and no mistakes.
local function each_line(parse)
  return function(reader, first, protocol)
    local next_line = lines_from(reader, first)
    return function()
      for line in next_line do
        local record, why = parse(line, protocol)
        if record then return record end
        if why then return false, why end
      end
    end
  end
end

local function is_empty(line)
  return line:find("^%s*$") or line:find("^%s*#")
end

-- host:port:user:password, a URL, or user:password@host:port.
M.plain = each_line(function(line, protocol)
  if is_empty(line) then return nil end
  return address.parse(line:match("^%s*(.*)$"), protocol)
end)

-- type host port user password
M.proxychains = each_line(function(line)
  local protocol, host, port, login = line:match("^%s*(%w+)[ \t]+(%S+)[ \t]+(%d+)%s*(.*)$")
  if not protocol or not address.protocol(protocol) then return nil end
  local user, password = login:match("^(%S*)%s*(%S*)")
  return address.complete{ protocol = protocol, host = host, port = port, username = user,
    password = password }
end)

-- cache_peer host parent port 0 options…
M.squid = each_line(function(line)
  local host, port, rest = line:match("^%s*cache_peer%s+(%S+)%s+parent%s+(%d+)%s+%d+(.*)$")
  if not host then return nil end
  local login = rest:match("%slogin=(%S+)")
  local user, password = (login or ""):match("^([^:]*):?(.*)$")
  return address.complete{
    protocol = rest:find("%stls%f[%s\0]") and "https" or "http", host = host, port = port,
    username = address.decode(user), password = address.decode(password),
  }
end)

-- Where a quoted word ends; a quote in it is doubled.
local function closing(line, from)
  while true do
    local ending = line:find('"', from, true)
    if not ending or line:sub(ending + 1, ending + 1) ~= '"' then return ending end
    from = ending + 2
  end
end

-- Words between blanks, or in quotes.
local function words(line)
  local list, at = {}, line:match("^%s*()")
  while at <= #line do
    local ending = line:sub(at, at) == '"' and closing(line, at + 1)
    if ending then
      list[#list + 1], at = line:sub(at + 1, ending - 1):gsub('""', '"'), ending + 1
    else
      list[#list + 1], at = line:match("^(%S+)()", at)
    end
    at = line:match("^%s*()", at)
  end
  return list
end

local three = { connect = "http", http = "http", ["connect+"] = "http", socks4 = "socks4",
  socks5 = "socks5",
  ["socks5+"] = "socks5h", ["socks4+"] = "socks4a", https = "https", ["connect+s"] = "https" }

-- parent 1000 type host port user password
M["3proxy"] = each_line(function(line)
  if not line:find("^%s*parent%s") then return nil end
  local list = words(line)
  local protocol = three[list[3]]
  if not protocol then
    return false, ("3proxy has no parents of the type %s"):format(list[3] or "")
  end
  return address.complete{ protocol = protocol, host = list[4], port = list[5], username = list[6],
    password = list[7] }
end)

local function env_pair(line)
  local name, value = line:gsub("^%s*export%s+", ""):match("^%s*([%a_][%w_]*)=(.*)$")
  if not name or not name:lower():find("proxy") or name:lower() == "no_proxy" then return nil end
  return name, value:match("^'(.*)'%s*$") or value:match('^"(.*)"%s*$') or value
end

-- NAME=URL. What several names in a row say of one proxy is one proxy, unless they are numbered.
function M.env(reader, first, protocol)
  local before, was_numbered
  return each_line(function(line)
    local name, value = env_pair(line)
    if not name then return nil end
    local numbered = name:find("_%d+$") ~= nil
    local same = value == before and not (numbered and was_numbered)
    before, was_numbered = value, numbered
    if not same and value ~= "" then return address.parse(value, protocol) end
  end)(reader, first)
end

-- --- several lines a proxy ---

local escapes = { t = "\t", n = "\n", r = "\r", v = "\v" }

-- The name and the value of a line of a curl config.
local function curl_pair(line)
  local name, value = line:match("^%s*%-*([%w-]+)%s*[=:%s]%s*(.*)$")
  if not name then return nil end
  local quoted = value:match('^"(.*)"%s*$')
  if quoted then
    return name, (quoted:gsub("\\(.)", function(letter) return escapes[letter] or letter end))
  end
  return name, value:match("^(%S*)")
end

local function curl_record(proxy, login, protocol)
  local record, why = address.parse(proxy, protocol)
  if not record then return false, why end
  if login then
    local user, password = login:match("^([^:]*):?(.*)$")
    record.username, record.password = address.decode(user), address.decode(password)
  end
  return address.complete(record)
end

function M.curl(reader, first, protocol)
  local line, proxy, login = first, nil, nil
  return function()
    while line or proxy do
      local name, value
      if line and not is_empty(line) then name, value = curl_pair(line) end
      local done = proxy and (not line or name == "proxy" or name == "x" or name == "next")
      local whole, user = proxy, login
      if done then proxy, login = nil, nil end
      if name == "proxy" or name == "x" then proxy = value end
      if name == "proxy-user" or name == "U" then login = value end
      line = line and reader:line()
      if done then return curl_record(whole, user, protocol) end
    end
  end
end

-- --- CSV, and columns between tabs ---

-- A field in quotes that begins before `at`, and where it ends. It may go on in the next lines.
local function quoted_field(reader, line, at)
  local from = at
  while true do
    local ending = closing(line, from)
    if ending then return line:sub(at, ending - 1):gsub('""', '"'), ending + 1, line end
    local more = #line < 1 << 16 and reader:line(true)
    if not more then return nil end
    from, line = #line + 2, line .. "\n" .. more
  end
end

local function csv_fields(reader, line, comma)
  local fields, at = {}, 1
  while true do
    local value, after
    if line:sub(at, at) == '"' then
      value, after, line = quoted_field(reader, line, at + 1)
      if not value then return nil, "a quoted field has no end" end
    else
      value, after = line:match("^([^" .. comma .. "\r]*)()", at)
    end
    fields[#fields + 1] = value
    if line:sub(after, after) ~= comma then return fields end
    at = after + 1
  end
end

-- Between tabs nothing is quoted: the program writes fields into a pipe as they are.
local function tab_fields(_, line)
  local fields = {}
  for field in line:gsub("\r$", ""):gmatch("[^\t]*") do fields[#fields + 1] = field end
  return fields
end

local positions = { "host", "port", "username", "password", "protocol" }

-- Which field is which; nil where the first record is no heading.
local function heading(fields)
  local columns, known = {}, 0
  for at, name in ipairs(fields) do
    name = name:lower():gsub("^\xEF\xBB\xBF", "")
    columns[at] = name
    if objects.names[name] then known = known + 1 end
  end
  return known > 0 and columns or nil
end

local function csv_comma(line)
  return line:find("\t", 1, true) and "\t" or line:find(",", 1, true) and "," or ";"
end

local function csv_object(fields, columns)
  local object = {}
  for at, value in ipairs(fields) do
    local name = columns[at]
    if name and value ~= "" then object[name] = value end
  end
  return object
end

-- Where a login holds a tab or the end of a line, its column has a blank; the URL beside it tells
-- what it was.
local function restore_login(object)
  local told = object.url and address.parse(object.url)
  if told and told.username and told.host == object.host and tostring(told.port) == object.port then
    object.username, object.password = told.username, told.password
  end
end

local function csv_record(object, protocol)
  local record, why = objects.record(object, protocol)
  return record or false, why or "it has no host and port"
end

function M.csv(reader, first, protocol)
  local comma, next_line, columns = csv_comma(first), lines_from(reader, first, true), nil
  local fields_of = comma == "\t" and tab_fields or csv_fields
  return function()
    for line in next_line do
      if line:find("[^\r]") then
        local fields, why = fields_of(reader, line, comma)
        if why then return false, why end
        local is_heading = not columns and heading(fields)
        columns = columns or is_heading or positions
        if not is_heading then
          local object = csv_object(fields, columns)
          if comma == "\t" then restore_login(object) end
          return csv_record(object, protocol)
        end
      end
    end
  end
end

-- --- JSON, and YAML as far as it is written with an object a line ---

-- The object of a line: "- {…}", "{…},", or "name": {…}, as lists of them are written.
local function object_of(line)
  local text = line:match("^%s*[%[-]?%s*({.*})%s*[,%]]?%s*$")
    or line:match('^%s*"[^"]*"%s*:%s*({.*})%s*,?%s*$')
  if not text then return nil end
  local ok, object = pcall(core.json.decode, text)
  return ok and object or nil
end

local function walked(text, protocol)
  local ok, document = pcall(core.json.decode, text)
  if not ok then return nil, "it is no JSON: " .. document.message end
  local list, at = {}, 0
  objects.walk(document, function(record, why)
    list[#list + 1] = record or { false, why }
  end, protocol)
  return function()
    at = at + 1
    if list[at] and list[at][1] == false then return table.unpack(list[at]) end
    return list[at]
  end
end

M.objects = each_line(function(line, protocol)
  local object = object_of(line)
  if object then return objects.record(object, protocol) end
end)

-- A function that says once what is wrong.
local function failing(why)
  return function()
    local mistake = why
    why = nil
    if mistake then return false, mistake end
  end
end

local HEAD = 32 -- lines, among which one is an object if the file has an object a line

-- Answers the first line that is a proxy's object, or all the lines before that were read.
local function find_object(reader, protocol)
  local head = {}
  while #head < HEAD and reader:has_short_line() do
    local line = reader:line()
    if not line then break end
    local object = object_of(line)
    if object and objects.record(object, protocol) then return line end
    head[#head + 1] = line
  end
  return nil, head
end

-- What has an object a line is read as it comes; any other document is read whole.
function M.json(reader, _, protocol)
  local line, head = find_object(reader, protocol)
  if line then return M.objects(reader, line, protocol) end
  head[#head + 1] = reader:rest()
  local next_record, why = walked(table.concat(head, "\n"), protocol)
  return next_record or failing(why)
end

-- --- which one it is ---

-- A host and a port between tabs; what follows may look like the login of a plain line.
local function has_columns(line)
  local host, port = line:match("^([^\t]+)\t(%d+)%f[\t\0]")
  return host and address.complete{ host = host, port = port } ~= nil
end

local function is_csv(line)
  if has_columns(line) then return true end
  if address.parse(line) then return false end
  local comma = csv_comma(line)
  if line:find("^[^" .. comma .. "]+" .. comma .. '"?%d+%f[%D]') then return true end
  for name in line:lower():gmatch("[^" .. comma .. "]+") do
    if objects.names[name] then return true end
  end
  return false
end

local signs = {
  { "objects", "^[%w-]+:%s*$" },
  { "objects", "^[%w-]+: " },
  { "objects", "^%s*%- {" },
  { "squid", "^%s*cache_peer%s" },
  { "squid", "^%s*never_direct%s" },
  { "3proxy", "^%s*parent%s" },
  { "3proxy", "^auth%s" },
  { "proxychains", "^%[ProxyList%]" },
  { "proxychains", "^%l+_chain$" },
  { "proxychains", "^%s*%l+[45]?[ \t]+[%w.:-]+[ \t]+%d+%f[^%w]" },
  { "curl", "^%s*%-*proxy[%w-]*%s*[=:%s]" },
  { "curl", "^%s*%-*url%s*[=:%s]%s*\"" },
  { "env", "^%s*export%s" },
  { "env", "^%s*[%a_][%w_]*=" },
}

--- The name of the form that a line shows.
function M.recognise(line)
  for _, sign in ipairs(signs) do
    if line:find(sign[2]) then return sign[1] end
  end
  return is_csv(line) and "csv" or "plain"
end

--- Whether a line says nothing of the form.
M.is_empty = is_empty

return M
