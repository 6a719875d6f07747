-- lua/proxylua/export: each format held against what reads it, with credentials that are hard to write.

local core = require "proxylua.core"
local program = require "spec.support.program"
local px = require "proxylua"
local sandboxes = require "spec.support.sandbox"
local yaml = require "yaml"

local folder

setup(function() folder = program.folder() end)
teardown(function() program.remove(folder) end)

local function export(list, format, options)
  return px.export.text(list, format, options)
end

local function shell(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  return text, pipe:close()
end

local function file_of(list, format, options)
  local path = folder .. "/" .. format
  local all = { format = format }
  for name, value in pairs(options or {}) do all[name] = value end
  px.export.file(list, path, all)
  return path
end

local function proxy(username, password, other)
  local record = { host = "10.0.0.1", port = 8080, protocol = "http", username = username, password = password }
  for name, value in pairs(other or {}) do record[name] = value end
  return record
end

-- The letters that some format or other gives a meaning to.
local hostile = [[:@/%"'#\ $*&|<>()[]{}=,;?!~^`+-._]]

local function word(letters, length)
  local list = {}
  for at = 1, length do
    local which = math.random(#letters)
    list[at] = letters:sub(which, which)
  end
  return table.concat(list)
end

local every_byte = {}
for byte = 0, 255 do every_byte[#every_byte + 1] = string.char(byte) end
every_byte = table.concat(every_byte)
local unicode = { "ü", "€", "😀", "\u{85}", "\u{2028}", "\u{FEFF}", "\u{FFFE}", "\127", "\t" }

-- Credentials: of hostile letters, of letters beyond ASCII, of any bytes.
local function credentials()
  local kind = math.random(4)
  if kind == 1 then return word(every_byte, math.random(8)), word(every_byte, math.random(8)) end
  local user, password = word(hostile .. "abc", math.random(12)), word(hostile .. "abc", math.random(12))
  if kind == 2 then password = password .. unicode[math.random(#unicode)] .. "x" end
  return user, password
end

local protocols = { "http", "https", "socks4", "socks4a", "socks5", "socks5h" }
local hosts = { "10.0.0.1", "2001:db8::1", "proxy-1.example" }

-- Those of some random proxies that a format takes; it has to take what is harmless, and say why it takes what it does not.
local function taken(format, count)
  local list = { proxy("user", "pass"), proxy(nil, nil) }
  for _ = 1, count do
    local user, password = credentials()
    local one = proxy(user, password, { protocol = protocols[math.random(6)], host = hosts[math.random(3)] })
    local text, err = px.try(export, one, format)
    if text then
      list[#list + 1] = one
    else
      assert.equal("usage", err.kind)
      assert.matches("^proxy 1 %(.*%) cannot be written as " .. format:gsub("%p", "%%%0") .. ": ", err.message)
      assert.is_nil(#password > 3 and err.message:find(password, 1, true) or nil)
    end
  end
  return list
end

local function read_back(path)
  local list = {}
  for one in px.proxies.read(path) do list[#list + 1] = one end
  return list
end

-- What a format does not tell apart.
local kept = {
  txt = { https = "http", socks4 = "http", socks4a = "http", socks5 = "http", socks5h = "http" },
  proxychains = { socks4a = "socks4", socks5h = "socks5" },
  foxyproxy = { socks4a = "socks4" }, switchyomega = { socks5h = "socks5" }, clash = { socks5h = "socks5" },
  ["sing-box"] = { socks5h = "socks5" },
  gost = { socks4a = "socks4", socks5h = "socks5" },
}

describe("px.export", function()
  before_each(function() math.randomseed(7) end)

  for _, format in ipairs(px.export.formats()) do
    it("is read back by px.proxies.read: " .. format.name, function()
      local options = format.name == "curl" and { url = "http://127.0.0.1/" } or nil
      local list = taken(format.name, 400)
      assert.is_true(#list > 30, #list)
      local read = read_back(file_of(list, format.name, options))
      assert.equal(#list, #read)
      for at, one in ipairs(list) do
        local protocol = (kept[format.name] or {})[one.protocol] or one.protocol
        local given = assert(require "proxylua.proxies.address".complete{
          host = one.host, port = one.port, protocol = protocol, username = one.username, password = one.password,
        })
        assert.equal(given.url, read[at].url)
      end
    end)
  end
end)
