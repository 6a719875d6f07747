-- NAME=URL lines: the environment, as sh, Docker and systemd read it.

local address = require "proxylua.proxies.address"
local text = require "proxylua.formats.common"
local txt = require "proxylua.formats.txt"

local M = {
  name = "env", extension = "env", never_empty = true,
  summary = "NAME=URL lines for sh (set -a; . FILE), Docker and systemd: the first as http_proxy "
    .. "…, all as PROXY_1 …",
}

local function record(proxy, index)
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

function M.new() return { record = record } end

-- The name and the value of a line that sets a proxy; the name alone of one that sets another
-- variable.
local function pair(line)
  local name, value = line:match("^%s*export%s+([%a_][%w_]*)=(.*)$")
  if not name then name, value = line:match("^%s*([%a_][%w_]*)=(.*)$") end
  if not name then return nil end
  if not name:lower():find("proxy", 1, true) or name:lower() == "no_proxy" then return name end
  value = address.trim(value)
  return name, value:match("^'([^']*)'$") or value:match('^"([^"]*)"$') or value
end

--- Whether a line sets a variable to a proxy.
function M.is_sign(line)
  local _, value = pair(line)
  return value ~= nil and (address.parse(value) ~= nil or value:find("://", 1, true) ~= nil)
end

-- What several names in a row say of one proxy is one proxy, unless they are numbered.
function M.read(reader, context)
  local before, was_numbered
  return txt.each_line(reader, function(line)
    local name, value = pair(line)
    if not name then
      if line:find("^%s*export%s+[%a_][%w_%s]*$") or line:find("^%s*set%s") then
        return nil, nil, "other line"
      end
      return nil, "not NAME=URL"
    end
    if not value then return nil, nil, "other variable" end
    local numbered = name:find("_%d+$") ~= nil
    local same = value == before and not (numbered and was_numbered)
    before, was_numbered = value, numbered
    if not same and value ~= "" then return address.parse(value, context.protocol) end
  end)
end

return M
