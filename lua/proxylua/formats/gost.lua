-- gost 3, as JSON; YAML is read too.

local address = require "proxylua.proxies.address"
local document = require "proxylua.formats.document"
local fields = require "proxylua.formats.fields"
local text = require "proxylua.formats.common"

local M = { name = "gost", extension = "json", summary = "gost 3", never_empty = true }

local connectors = { http = "http", https = "http", socks4 = "socks4", socks5 = "socks5" }

-- The fields are those of go-gost/x, config/config.go. It takes no credentials where the username
-- is empty (config/parsing/auth/parse.go).
local function record(proxy, index, before)
  local connector = connectors[proxy.protocol]
  if not connector then return nil, text.no_protocol("gost", proxy) end
  local lost = text.lost_login("gost", proxy)
  if lost then return nil, lost end
  local login, why = text.login_pairs(proxy)
  if not login then return nil, why end
  return before .. '{"name":"proxy-' .. index .. '","addr":"' .. address.host(proxy.host) .. ":"
    .. proxy.port
    .. '","connector":{"type":"' .. connector .. '"'
    .. (login ~= "" and ',"auth":{' .. login:sub(2) .. "}" or "")
    .. '},"dialer":{"type":"' .. (proxy.protocol == "https" and "tls" or "tcp") .. '"}}'
end

local FAIL_TIMEOUT <const> = 30000000000 -- nanoseconds

-- gost takes a duration as a number wherever a configuration comes from, and as "30s" from files.
function M.new()
  return text.between('{"services":[{"name":"local","addr":"127.0.0.1:8080",'
    .. '"handler":{"type":"auto","chain":"proxies"},"listener":{"type":"tcp"}}],\n'
    .. '"chains":[{"name":"proxies","hops":[{"name":"proxies",'
    .. '"selector":{"strategy":"round","maxFails":1,"failTimeout":'
    .. FAIL_TIMEOUT .. '},"nodes":[\n',
    record, "\n]}]}]}\n")
end

document.root(function(object)
  if fields.is_list(object.chains) or fields.is_list(object.hops) then
    return { "chains", "hops", "nodes" }
  end
end)

local dialers = { tcp = true, tls = true }

-- {"addr":"host:port","connector":{"type":"http","auth":{…}},"dialer":{"type":"tls"}}; where one is
-- absent, the connector is http and the dialer tcp (config/parsing/node/parse.go).
local function take_node(object, walk, path, key)
  local connector, dialer = object.connector, object.dialer
  if connector == nil then connector = { [0] = object[0] } end
  if type(object.addr) ~= "string" or not fields.is_mapping(connector) then return false end
  dialer = fields.is_mapping(dialer) and dialer.type or "tcp"
  local kind = connector.type or "http"
  if not dialers[dialer] then
    return walk:take(path, key, object[0], nil, nil, tostring(dialer))
  end
  local given = { auth = connector.auth, protocol = kind, tls = dialer == "tls" or nil }
  given.host, given.port = object.addr:match("^(%d+%.%d+%.%d+%.%d+):(%d+)$")
  if not given.host then given.text = object.addr end
  return walk:take(path, key, object[0], fields.resolve(given))
end

document.special("connector", take_node)
document.special("dialer", take_node)

return M
