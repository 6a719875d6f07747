-- HTTP for plugins: to the granted hosts, also after redirects, and only if their names resolve to
-- the public internet. A host is "api.example.com", with the ports of http and https, or has
-- another port ("example.com:8443").

local core = require "proxylua.core"

local M = {}

local MAX_BODY, REDIRECTS = 8 << 20, 10

local ports = { http = "80", https = "443" }
local methods = { get = true, head = true, post = true, put = true, patch = true, delete = true,
  options = true }
local known = {
  headers = true, query = true, body = true, json = true, timeout = true, redirects = true,
    max_body = true,
}

-- Headers that decide where a request goes and where it ends: they could smuggle a second request
-- to another host.
local not_its_own = { host = true, ["content-length"] = true, ["transfer-encoding"] = true }

local function usage(...)
  core.error.raise{ kind = "usage", message = (...):format(select(2, ...)) }
end

local function matches(grant, scheme, host, port)
  local name, with_port = grant:lower():match("^(.-):(%d+)$")
  name, with_port = name or grant:lower(), with_port or ports[scheme]
  return port == with_port and host == name
end

-- The whole URL, if it is permitted; other names are not even resolved. Returns its origin too.
local function check_url(hosts, refuse, text, base)
  local url, scheme, host, port, user = core.plugin.url(text, base)
  if not url or user or not ports[scheme] then usage("px.http: url must be an http or https "
    .. "URL") end
  host = host:lower()
  for _, grant in ipairs(hosts) do
    if matches(grant, scheme, host, port) then
      return url, ("%s://%s:%s"):format(scheme, host, port)
    end
  end
  refuse("net", "reach " .. host)
end

local function check_options(options)
  if options == nil then return {} end
  if type(options) ~= "table" then
    usage("px.http takes its options as a table, got a %s", type(options))
  end
  local copy = {}
  for name, value in pairs(options) do
    if not known[name] then usage("px.http has no option %s in a plugin", tostring(name)) end
    copy[name] = value
  end
  for name in pairs(type(copy.headers) == "table" and copy.headers or {}) do
    if type(name) == "string" and not_its_own[name:lower()] then
      usage("px.http: a plugin cannot set the header %s", name)
    end
  end
  if math.type(copy.max_body) ~= "integer" or copy.max_body > MAX_BODY then
    copy.max_body = MAX_BODY
  end
  return copy
end

--- A response of px.http in a form that can be passed to a plugin.
function M.plain(response)
  return {
    status = response.status, body = response.body, headers = response.headers, ok = response.ok,
      time = response.time,
    connect_time = response.connect_time,
  }
end

-- The next request of a redirect: nil if none is to be followed.
local function follow(method, response)
  local status, to = response.status, response.headers.location
  if not to or status < 301 or status > 308 or (status > 303 and status < 307) then return nil end
  if status >= 307 then return method, to end
  return method == "head" and "head" or "get", to
end

local function without_body(options)
  options.body, options.json = nil, nil
end

function M.open(_, permissions, refuse, reach)
  local hosts = permissions.net or {}

  local function fetch(method, text, options)
    if not methods[method] then usage("px.http has no %s", tostring(method)) end
    if type(text) ~= "string" or text:find("\0", 1, true) then
      usage("px.http: url must be a text")
    end
    options = check_options(options)
    local left = math.tointeger(options.redirects) or REDIRECTS
    local url, origin = check_url(hosts, refuse, text)
    options.redirects = 0
    while true do
      local response = core.http[method](url, options, reach)
      local next_method, to = follow(method, response)
      if not to or left <= 0 then return M.plain(response) end
      local next_url, next_origin = check_url(hosts, refuse, to, url)
      if next_method ~= method then without_body(options) end
      if next_origin ~= origin then options.headers = nil end
      options.query = nil
      method, url, origin, left = next_method, next_url, next_origin, left - 1
    end
  end

  return { http = fetch }
end

return M
