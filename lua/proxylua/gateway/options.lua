-- The options of px.gateway, checked before anything is opened.

local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"

local known = {
  proxies = true, listen = true, metrics = true, strategy = true, quarantine = true,
  timeout = true, idle = true, connections = true, users = true, allow = true, deny = true,
  resolve = true, log = true, drain = true,
}

local strategies = { round_robin = true, random = true, least_latency = true, sticky = true }

local function one_of(options, name, set, usual)
  local value = options[name]
  if value == nil then return usual end
  if set[value] then return value end
  local list = {}
  for word in pairs(set) do list[#list + 1] = word end
  table.sort(list)
  return names.usage("px.gateway: %s must be %s, got %s", name, table.concat(list, ", "),
    tostring(value))
end

-- "127.0.0.1:8080", "[::1]:8080", "8080"
local function place(options, name, usual)
  local text = options[name]
  if text == nil then text = usual end
  if text == nil then return nil end
  text = tostring(text)
  local host, port = text:match("^%[([%x:.]+)%]:(%d+)$")
  if not host then host, port = text:match("^([%d.]+):(%d+)$") end
  if not host then host, port = "127.0.0.1", text:match("^:?(%d+)$") end
  port = math.tointeger(tonumber(port))
  if not port or port > 65535 then
    names.usage("px.gateway: %s must be ADDRESS:PORT, such as 127.0.0.1:8080, got %s", name, text)
  end
  return { host = host, port = port }
end

local function seconds(options, name, usual)
  return duration.seconds(options[name] or usual, "px.gateway: " .. name)
end

local function list(options, name)
  local value = options[name]
  if value == nil then return {} end
  if type(value) == "string" then return { value } end
  if type(value) ~= "table" then
    names.usage("px.gateway: %s must be a text or a list of texts, got a %s", name, type(value))
  end
  for at, text in ipairs(value) do
    if type(text) ~= "string" then
      names.usage("px.gateway: %s[%d] must be a text, got a %s", name, at, type(text))
    end
  end
  return value
end

local function users_of(options)
  local users = options.users or {}
  if type(users) ~= "table" then
    names.usage("px.gateway: users must be a table of names and passwords, got a %s", type(users))
  end
  for name, password in pairs(users) do
    if type(name) ~= "string" or type(password) ~= "string" or name == "" then
      names.usage("px.gateway: users must be a table of names and passwords")
    end
    if name:find(":", 1, true) or ("-" .. name .. "-"):lower():find("%-session%-")
      or ("-" .. name .. "-"):lower():find("%-country%-") then
      names.usage("px.gateway: the user name %s cannot hold a colon, -session- or -country-", name)
    end
  end
  return users
end

local function count(options, name)
  local value = options[name]
  if value == nil then return 0 end
  if math.type(value) ~= "integer" or value < 1 or value > 1000000 then
    names.usage("px.gateway: %s must be an integer from 1 to 1000000, got %s", name,
      tostring(value))
  end
  return value
end

--- Checks the options of px.gateway.
-- @return table of what is wanted
-- @raise usage
return function(options)
  if type(options) ~= "table" then
    names.usage("px.gateway takes its options as a table, got a %s", type(options))
  end
  names.check("px.gateway", options, known)
  local strategy = one_of(options, "strategy", strategies, "round_robin")
  local log = options.log
  if log ~= nil and (type(log) ~= "string" or log == "") then
    names.usage("px.gateway: log must be a path or \"-\", got %s", tostring(log))
  end
  local wanted = {
    listen = place(options, "listen", "127.0.0.1:8080"), metrics = place(options, "metrics"),
    users = users_of(options), allow = list(options, "allow"), deny = list(options, "deny"),
    drain = seconds(options, "drain", 0),
    engine = {
      strategy = strategy == "sticky" and "round_robin" or strategy, sticky = strategy == "sticky",
      quarantine = seconds(options, "quarantine", "5m"),
      timeout = seconds(options, "timeout", 20), idle = seconds(options, "idle", "10m"),
      connections = count(options, "connections"), log = log,
      resolve_locally = one_of(options, "resolve", { ["local"] = true, remote = true }, "remote")
        == "local",
    },
  }
  for _, name in ipairs{ "timeout", "idle" } do
    if wanted.engine[name] <= 0 or wanted.engine[name] > 86400 then
      names.usage("px.gateway: %s must be more than 0 and at most a day", name)
    end
  end
  return wanted
end
