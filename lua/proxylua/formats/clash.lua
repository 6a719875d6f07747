-- Clash and mihomo: YAML, which the program writes with an object of JSON on a line.

local document = require "proxylua.formats.document"
local text = require "proxylua.formats.common"

local M = { name = "clash", extension = "yaml", summary = "Clash and mihomo" }

local types = { http = "http", https = "http", socks5 = "socks5" }

-- mihomo sends no credentials where the username is empty, nor where the password for an HTTP proxy
-- is (MetaCubeX/mihomo, adapter/outbound/http.go and socks5.go, where the fields are too).
local function record(proxy, index)
  local protocol = types[proxy.protocol]
  if not protocol then return nil, text.no_protocol("Clash", proxy) end
  local lost = text.lost_login("Clash", proxy, protocol == "http")
  if lost then return nil, lost end
  local login, why = text.login_pairs(proxy)
  if not login then return nil, why end
  return '- {"name":"proxy-' .. index .. '","type":"' .. protocol .. '","server":"' .. proxy.host
    .. '","port":'
    .. proxy.port .. login .. (proxy.protocol == "https" and ',"tls":true' or "") .. "}\n"
end

-- An empty group must not send anything past the proxies.
local function tail(count, emit)
  emit('proxy-groups:\n- name: proxies\n  type: select\n  proxies:\n')
  text.emit_names(count, emit, "  - proxy-%d\n")
  if count == 0 then emit("  - REJECT\n") end
  emit("rules:\n- MATCH,proxies\n")
end

function M.new()
  return { head = "mixed-port: 7890\nproxies:\n", record = record, tail = tail }
end

local marks = { "proxy-groups", "rules", "mixed-port", "socks-port", "proxy-providers",
  "rule-providers", "allow-lan", "mode", "external-controller" }

document.root(function(object)
  if type(object.proxies) ~= "table" then return nil end
  for _, mark in ipairs(marks) do
    if object[mark] ~= nil then return { "proxies" } end
  end
end)

function M.read(reader, context)
  return document.records("yaml", reader, context.protocol)
end

local signs = {
  "^%s*%- +[{&*!]", "^%s*%- +[\"']?[%w_.-]+[\"']?:%s", "^%s*%- +[\"']?[%w_.-]+[\"']?:$",
  "^[\"']?[%w_.-]+[\"']?: *[%[{&*|>]", "^%-%-%-%s*$", "^%%YAML",
}

--- Whether a line is YAML beyond doubt.
function M.is_sign(line)
  for _, sign in ipairs(signs) do
    if line:find(sign) then return true end
  end
  return false
end

return M
