-- The options of px.gateway, checked before anything is opened.

local declare = require("proxylua.util.options").declare
local names = require "proxylua.util.names"

-- "127.0.0.1:8080", "[::1]:8080", "8080"
local place = {
  read = function(value)
    local text = tostring(value)
    local host, port = text:match("^%[([%x:.]+)%]:(%d+)$")
    if not host then host, port = text:match("^([%d.]+):(%d+)$") end
    if not host then host, port = "127.0.0.1", text:match("^:?(%d+)$") end
    port = math.tointeger(tonumber(port))
    return port and port <= 65535 and { host = host, port = port } or nil
  end,
  expected = "ADDRESS:PORT, such as 127.0.0.1:8080", doc = "ADDRESS:PORT", meta = "string|integer",
}

local DAY <const> = 86400

local read = declare("px.gateway", {
  { "proxies", "any", "list or iterator of proxy records or URLs", required = true,
    expected = "a list or an iterator", meta = "proxy[]|string[]|fun(): proxy?" },
  { "listen", place, "loopback unless there are `users`; port 0: a free one",
    default = "127.0.0.1:8080" },
  { "users", "table", "names and passwords", meta = "table<string, string>" },
  { "metrics", place, "for /metrics and /stats" },
  { "strategy", "choice", "which proxy a request takes",
    values = { "round_robin", "random", "least_latency", "sticky" }, default = "round_robin" },
  { "quarantine", "duration", "time for which a proxy that failed is set aside", default = "5m" },
  { "timeout", "duration", "until a proxy must have reached the target", above = 0, max = DAY,
    default = "20s" },
  { "idle", "duration", "until a silent connection is closed", above = 0, max = DAY,
    default = "10m" },
  { "connections", "integer", "at most", min = 1, max = 1000000,
    usual = "what the limit of descriptors allows" },
  { "allow", "strings", "targets: HOST, *.DOMAIN, ADDRESS or NETWORK/BITS, each with :PORT if "
    .. "wanted" },
  { "deny", "strings", "targets that are refused, before `allow`" },
  { "resolve", "choice", "where names of targets are looked up; local judges them by their "
    .. "addresses", values = { "local", "remote" }, default = "remote" },
  { "log", "string", 'file that gets a JSON line for each request, "-" for standard output' },
  { "drain", "duration", "how long connections may go on when its task is cancelled",
    default = "0s" },
})

local function users_of(options)
  local users = options.users or {}
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

--- Checks the options of px.gateway.
-- @return table of what is wanted
-- @raise usage
return function(given)
  local wanted = read(given)
  return {
    proxies = wanted.proxies, listen = wanted.listen, metrics = wanted.metrics,
    users = users_of(wanted), allow = wanted.allow or {}, deny = wanted.deny or {},
    drain = wanted.drain,
    engine = {
      strategy = wanted.strategy == "sticky" and "round_robin" or wanted.strategy,
      sticky = wanted.strategy == "sticky", quarantine = wanted.quarantine,
      timeout = wanted.timeout, idle = wanted.idle, connections = wanted.connections or 0,
      log = wanted.log, resolve_locally = wanted.resolve == "local",
    },
  }
end
