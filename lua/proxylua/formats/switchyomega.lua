-- SwitchyOmega and ZeroOmega: their backup file.

local document = require "proxylua.formats.document"
local fields = require "proxylua.formats.fields"
local text = require "proxylua.formats.common"

local M = { name = "switchyomega", extension = "bak",
  summary = "the backup file of SwitchyOmega and ZeroOmega" }

local schemes = { http = "http", https = "https", socks4 = "socks4", socks5 = "socks5" }

-- The fields are those of zero-peak/ZeroOmega, omega-pac/src/profiles.coffee.
local function record(proxy, index, before)
  local scheme = schemes[proxy.protocol]
  if not scheme then return nil, text.no_protocol("SwitchyOmega", proxy) end
  local why_host = text.not_in_pac("SwitchyOmega", proxy)
  if why_host then return nil, why_host end
  local login, why = text.login_pairs(proxy)
  if not login then return nil, why end
  local auth = login ~= "" and ',"auth":{"fallbackProxy":{' .. login:sub(2) .. "}}" or ""
  local name = '"proxy-' .. index .. '"'
  return before .. '"+proxy-' .. index .. '":{"name":' .. name
    .. ',"profileType":"FixedProfile","color":"#99ccee",'
    .. '"bypassList":[{"conditionType":"BypassCondition","pattern":"<local>"}],"fallbackProxy":'
    .. '{"scheme":"' .. scheme
    .. '","host":"' .. proxy.host .. '","port":' .. proxy.port .. "}" .. auth .. "}"
end

function M.new()
  local writer = text.between("{\n", record, "")
  function writer.tail(count, emit)
    emit((count > 0 and ",\n" or "") .. '"schemaVersion":2\n}\n')
  end
  return writer
end

local parts = { "fallbackProxy", "proxyForHttp", "proxyForHttps", "proxyForFtp" }

-- {"profileType":"FixedProfile","fallbackProxy":{…},"auth":{"fallbackProxy":{…}}}
document.special("profileType", function(object, walk, path, key)
  if type(object.profileType) ~= "string" then return false end
  if object.profileType ~= "FixedProfile" then
    return walk:take(path, key, object[0], nil, nil, object.profileType)
  end
  local auth = fields.is_mapping(object.auth) and object.auth or {}
  for _, part in ipairs(parts) do
    local proxy = object[part]
    if fields.is_mapping(proxy) then
      local given = fields.gather(proxy)
      given.auth = auth[part] or auth.all
      walk:take(path, key, proxy[0], fields.resolve(given))
    end
  end
  return true
end)

return M
