-- A line of one's own for each proxy: '%login%:%password%@%ip%:%port%'. Credentials stand in it as
-- they are, or percent-encoded with .url after the name.

local address = require "proxylua.proxies.address"
local names = require "proxylua.util.names"
local text = require "proxylua.formats.common"

local M = {}

local function field(name)
  return function(proxy)
    local value = proxy[name]
    return type(value) == "string" and value or tostring(value or "")
  end
end

local function encoded(name)
  return function(proxy) return address.encode(proxy[name] or "") end
end

local fields = {
  ip = field "host", host = field "host", port = field "port",
  login = field "username", username = field "username", user = field "username",
  password = field "password", pass = field "password",
  ["login.url"] = encoded "username", ["username.url"] = encoded "username",
    ["password.url"] = encoded "password",
  protocol = field "protocol", type = field "protocol", country = field "country",
    order_id = field "order_id",
  url = address.url, n = function(_, index) return tostring(index) end,
}

local function host_before_colon(proxy) return address.host(proxy.host) end

local function unknown(name)
  names.usage("the template has %%%s%%, which no proxy has%s; write %%%% for a %% of its own", name,
    names.hint(name, fields, "%%%s%%"))
end

-- The parts of a template: texts, and functions of a proxy and its number.
local function compile(template)
  local parts, at = {}, 1
  while at <= #template do
    local plain, after = template:match("^([^%%]+)()", at)
    if not plain then
      local name
      name, after = template:match("^%%([^%%]*)%%()", at)
      if not name then
        names.usage("the template has a %% without its end; write %%%% for a %% of its own")
      end
      plain = name == "" and "%" or fields[name] or unknown(name)
      local in_pair = (name == "ip" or name == "host") and template:sub(after, after) == ":"
      if in_pair then plain = host_before_colon end
    end
    parts[#parts + 1], at = plain, after
  end
  return parts
end

--- The format that writes a template's line for each proxy.
-- @raise usage
function M.format(template)
  if type(template) ~= "string" then
    names.usage("a template is a text, got a %s", type(template))
  end
  local parts = compile(template:gsub("\\t", "\t"))
  return { new = function()
    local line, gaps = table.move(parts, 1, #parts, 1, {}), {}
    for at, part in ipairs(parts) do
      if type(part) == "function" then gaps[#gaps + 1] = at end
    end
    line[#line + 1] = "\n"
    return { record = function(proxy, index)
      local why = text.not_in_line(proxy)
      if why then return nil, why end
      for number = 1, #gaps do
        local at = gaps[number]
        line[at] = parts[at](proxy, index)
      end
      return table.concat(line)
    end }
  end }
end

return M
