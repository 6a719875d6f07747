-- The API for plugins: reading endpoints with the permission `read`, charges with `spend`
-- (proxylua.plugin.host.spend). Other endpoints that change something are not available.

local core = require "proxylua.core"
local spend = require "proxylua.plugin.host.spend"

local M = {}

local rows = {}
for _, row in ipairs(core.endpoints()) do rows[row.name] = row end

local function usage(...)
  core.error.raise{ kind = "usage", message = (...):format(select(2, ...)) }
end

local function check_params(params)
  if params ~= nil and type(params) ~= "table" then
    usage("the parameters of a call must be a table")
  end
  return params or {}
end

local requested = { method = true, path = true, query = true, timeout = true, max_wait = true }

-- For paths outside the endpoint table: only requests that cannot change anything.
local function check_request(request)
  request = check_params(request)
  for name in pairs(request) do
    if not requested[name] then usage("px.request has no option %s in a plugin", tostring(name)) end
  end
  if request.method ~= nil and request.method ~= "GET" then
    usage("px.request allows only GET in a plugin")
  end
  return request
end

function M.open(name, permissions, refuse)
  local charge = spend.open(name, permissions, refuse)

  local function check_read(what)
    if permissions.read ~= true then refuse("read", what) end
  end

  local handlers = {}

  function handlers.api(endpoint, params)
    local row = rows[endpoint]
    if not row then usage("unknown endpoint %s", tostring(endpoint)) end
    params = check_params(params)
    if row.class == "charge" then return charge(endpoint, params) end
    if row.class ~= "safe" then refuse(nil, "call " .. endpoint) end
    check_read("call " .. endpoint)
    if params.path ~= nil then usage("%s: use px.files.write to write files in a plugin",
      endpoint) end
    return core.api.call(endpoint, params)
  end

  function handlers.request(request)
    check_read("call the API")
    return core.api.request(check_request(request))
  end

  function handlers.limits()
    check_read("read the rate limits")
    return core.api.limits()
  end

  return handlers
end

return M
