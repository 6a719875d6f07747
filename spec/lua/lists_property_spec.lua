-- Lists as programs write them, with generated records: each record is read back equal, or its line
-- is reported. None is read as another one, and none is lost.

local core = require "proxylua.core"
local address = require "proxylua.proxies.address"
local proxies = require "proxylua.proxies"
local yaml = require "lyaml"

local rounds <const> = tonumber(os.getenv("LISTS_ROUNDS")) or 60

local seed <const> = tonumber(os.getenv("LISTS_SEED")) or 0

local function one_of(list) return list[math.random(#list)] end

local function word(letters, least, most)
  local out = {}
  for at = 1, math.random(least, most) do
    local which = math.random(#letters)
    out[at] = letters:sub(which, which)
  end
  return table.concat(out)
end

local letters <const> = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
local marks <const> = letters .. letters .. [[-_.~!$&'"()*+,;=:@/?#[]{}|\^`<>% ]]
local odd = { "none", "null", "true", "US", "elite", "12ms", "socks5", "http", "10.0.0.9", "8080",
  "0x1F", "1e3", "~", "", "-", "--", "p:US", "a@10.0.0.9:80", "x#y", "h.y", "'q'", '"q"', "ü€" }

-- Plain credentials are those that most sellers have; a latency or a protocol may be a remark.
local function credential(is_plain)
  if is_plain then
    local text
    repeat text = word(letters, 5, 12) until not text:lower():find("^%d+m?s$")
      and not text:lower():find("^socks%d?[ah]?$")
    return text
  end
  if math.random(3) == 1 then return one_of(odd) end
  return word(marks, 1, 10)
end

local function random_host()
  local kind = math.random(4)
  if kind == 1 then return word("abcdef", 1, 6) .. ".x" .. word("yz-", 0, 3) .. "z.example" end
  if kind == 2 then return ("2001:db8::%x"):format(math.random(1, 65535)) end
  return ("%d.%d.%d.%d"):format(math.random(1, 223), math.random(0, 255), math.random(0, 255),
    math.random(1, 254))
end

local function random_proxy(is_plain)
  local proxy = { host = random_host(), port = math.random(1, 65535), protocol = "http" }
  if math.random(5) > 1 then
    proxy.username, proxy.password = credential(is_plain), credential(is_plain)
  end
  return proxy
end

local function url_of(proxy)
  local copy = {}
  for name, value in pairs(proxy) do copy[name] = value end
  return assert(address.complete(copy)).url
end

local function source(text)
  local parts = { text }
  return { read = function() return table.remove(parts) end }
end

-- What is read of a text: URLs, the lines with mistakes, and how many entries were skipped.
local function read(text)
  local found = { urls = {}, bad = {}, skipped = 0 }
  local ok, err = pcall(function()
    for proxy in proxies.each(source(text), {
      on_bad = function(line) found.bad[#found.bad + 1] = line end,
      on_skip = function() found.skipped = found.skipped + 1 end,
    }) do
      found.urls[#found.urls + 1] = proxy.url
    end
  end)
  if not ok then
    assert(core.error.is(err) and err.kind == "usage", tostring(err))
    found.refused = err
  end
  return found
end

-- --- one line for each proxy ---

local function before_colon(proxy) return address.host(proxy.host) end

local layouts = {
  ["host:port:user:password"] = function(proxy, host)
    return proxy.username and ("%s:%d:%s:%s"):format(host, proxy.port, proxy.username,
      proxy.password) or ("%s:%d"):format(host, proxy.port)
  end,
  ["user:password@host:port"] = function(proxy, host)
    return proxy.username and ("%s:%s@%s:%d"):format(proxy.username, proxy.password, host,
      proxy.port) or ("%s:%d"):format(host, proxy.port)
  end,
  ["user:password:host:port"] = function(proxy, host)
    return proxy.username and ("%s:%s:%s:%d"):format(proxy.username, proxy.password, host,
      proxy.port) or ("%s:%d"):format(host, proxy.port)
  end,
  ["host:port@user:password"] = function(proxy, host)
    return proxy.username and ("%s:%d@%s:%s"):format(host, proxy.port, proxy.username,
      proxy.password) or ("%s:%d"):format(host, proxy.port)
  end,
  ["raw URL"] = function(proxy, host)
    return proxy.username and ("http://%s:%s@%s:%d"):format(proxy.username, proxy.password, host,
      proxy.port) or ("http://%s:%d"):format(host, proxy.port)
  end,
}
local commas = { blanks = " ", tabs = "\t", commas = ",", semicolons = ";", pipes = "|" }
for name, comma in pairs(commas) do
  layouts["columns of " .. name] = function(proxy)
    local fields = { proxy.host, proxy.port, proxy.username, proxy.password }
    return table.concat(fields, comma)
  end
end

-- A % in a raw URL has a meaning: what people did not encode is read as what it says.
local function expected_of(layout, proxy)
  if layout ~= "raw URL" or not proxy.username then return url_of(proxy) end
  local copy = { host = proxy.host, port = proxy.port, protocol = "http",
    username = address.decode(proxy.username), password = address.decode(proxy.password) }
  return url_of(copy)
end

-- In columns these say something of the proxy.
local said = { [""] = true, US = true, elite = true, ["12ms"] = true, ["-"] = true, ["+"] = true,
  socks5 = true, http = true, no = true, ok = true, up = true, hia = true, noa = true, anm = true,
  yes = true, ssl = true, isp = true, good = true, alive = true }

-- Credentials that are ambiguous in a layout: with a colon in the username, for example, every
-- reader finds others.
local function says_something_else(layout, proxy)
  local user, password = proxy.username or "", proxy.password or ""
  if (user .. ":" .. password):find("^%s") or (user .. ":" .. password):find("%s$")
    or user:find("^[#;]") or user:find("^//") or user:find("^[-*%d.)]+%s")
    or (user .. ":" .. password):find("%s#") or password:lower():find("%s%d+[ms%%]+$")
    or said[password:match("%s(%S+)$") or false]
    or said[(password:match("%s(%S+)$") or "other"):lower()]
    or password:find("%s%u%u$") or password:find("^//") or password:find("^%s") then
    return true -- blanks around a line, comments, the marks of a list, remarks behind it
  end
  if layout:find("columns") then
    local is_remark = said[user] or said[user:lower()] or user:find("^%u%u%f[%z-]%-?[NAHS!-]*$")
      or user:find("^%d+[ms%%]+$")
    return proxy.username and is_remark or password:find("^#")
      or password == "" and user:find(":") or (user .. password):find("[%s,;|\t]")
  end
  return user:find(":", 1, true) ~= nil or layout:find("@") == nil and password:find(":") ~= nil
    and layout:find("^user") ~= nil
end

describe("lines are read back or reported:", function()
  for name, write in pairs(layouts) do
    it(name, function()
      math.randomseed(seed + #name * 7)
      for round = 1, rounds do
        local list, lines, is_plain = {}, { "10.9.8.7:6543" }, round % 3 == 0
        for at = 1, 12 do
          local proxy
          repeat proxy = random_proxy(is_plain) until not says_something_else(name, proxy)
          list[at], lines[at + 1] = proxy, write(proxy, before_colon(proxy))
        end
        local found = read(table.concat(lines, "\n") .. "\n")
        assert.is_nil(found.refused, tostring(found.refused))
        local is_bad, next_url = {}, 2
        for _, line in ipairs(found.bad) do is_bad[line] = true end
        assert.equal("http://10.9.8.7:6543", found.urls[1])
        for at, proxy in ipairs(list) do
          if not is_bad[at + 1] then
            assert.equal(expected_of(name, proxy), found.urls[next_url], lines[at + 1])
            next_url = next_url + 1
          end
          if is_plain then assert.is_nil(is_bad[at + 1], lines[at + 1]) end
        end
        assert.equal(next_url - 1, #found.urls)
        assert.equal(0, found.skipped)
      end
    end)
  end
end)

-- --- records with names ---

local names = {
  host = { "host", "ip", "IP", "server", "proxy_address", "ProxyHost", "hostname", "Ip Address" },
  port = { "port", "PORT", "server_port", "proxyPort", "Proxy Port" },
  username = { "username", "user", "login", "User_Name", "proxy-user", "uname" },
  password = { "password", "pass", "passwd", "PWD", "proxyPassword" },
}
local other_names = { "country", "speed", "last_checked", "anonymity", "note", "id" }

local function spelling()
  local chosen = {}
  for field, list in pairs(names) do chosen[field] = one_of(list) end
  return chosen
end

local function shuffled(list)
  for at = #list, 2, -1 do
    local other = math.random(at)
    list[at], list[other] = list[other], list[at]
  end
  return list
end

local function assert_all_read(list, text)
  local found = read(text)
  assert.is_nil(found.refused, tostring(found.refused) .. "\n" .. text)
  assert.same({}, found.bad, text)
  assert.equal(#list, #found.urls, text)
  for at, proxy in ipairs(list) do assert.equal(url_of(proxy), found.urls[at], text) end
end

local function csv_field(value, comma)
  local text = tostring(value or "")
  local is_plain = not text:find('[#"\r\n' .. comma .. "]") and not text:find("^%s")
    and not text:find("%s$")
  if is_plain and math.random(3) > 1 then
    return text
  end
  return '"' .. text:gsub('"', '""') .. '"'
end

local function csv_text(list)
  local comma, spelled = one_of{ ",", ";", "\t", "|" }, spelling()
  local columns = shuffled{ "host", "port", "username", "password", one_of(other_names) }
  local ending = one_of{ "\n", "\r\n", "\r" }
  local rows, row = {}, {}
  for at, field in ipairs(columns) do row[at] = csv_field(spelled[field] or field, comma) end
  rows[1] = table.concat(row, comma)
  for number, proxy in ipairs(list) do
    for at, field in ipairs(columns) do
      local value = proxy[field]
      if not spelled[field] then value = one_of{ "", "x", "a b" } end
      row[at] = csv_field(value, comma)
    end
    rows[number + 1] = table.concat(row, comma)
  end
  return table.concat(rows, ending) .. ending
end

-- An object of a proxy, with names of its own.
local function object_of(proxy, spelled)
  local object = { [spelled.host] = proxy.host, [spelled.port] = proxy.port,
    [spelled.username] = proxy.username, [spelled.password] = proxy.password }
  object[one_of(other_names)] = one_of{ "x", 7, true }
  return object
end

local function objects_of(list)
  local spelled, objects = spelling(), {}
  for at, proxy in ipairs(list) do objects[at] = object_of(proxy, spelled) end
  return objects
end

local function random_list()
  local list = {}
  for at = 1, 10 do list[at] = random_proxy(math.random(2) == 1) end
  return list
end

describe("every record is read back, however its fields are called:", function()
  before_each(function() math.randomseed(seed + 41) end)

  it("CSV with any delimiter, order, quoting and end of a line", function()
    for _ = 1, rounds do
      local list = random_list()
      assert_all_read(list, csv_text(list))
    end
  end)

  it("JSON: a list, a list below other keys, and an object a line", function()
    for _ = 1, rounds do
      local list = random_list()
      local objects = objects_of(list)
      local text = core.json.encode(objects)
      local lines = {}
      for at, object in ipairs(objects) do lines[at] = core.json.encode(object) end
      assert_all_read(list, one_of{ text, '{"ok":true,"data":{"list":' .. text .. "}}",
        text:gsub('},{"', '} ,\r\n\t{"'), table.concat(lines, "\n") .. "\n" })
    end
  end)

  it("YAML as libyaml dumps it", function()
    for _ = 1, rounds do
      local list = random_list()
      local objects = objects_of(list)
      assert_all_read(list, yaml.dump{ one_of{ { proxies = objects }, objects } })
    end
  end)
end)

-- --- lists that were damaged ---

-- Changes a line in a way in which files get damaged.
local function damage(line)
  local at = math.random(#line)
  local kind = math.random(6)
  if kind == 1 then return line:sub(1, at - 1) end
  if kind == 2 then return line:sub(1, at - 1) .. line:sub(at + 1) end
  if kind == 3 then return line:sub(1, at) .. one_of{ " ", "\t", "\0", "\xC2\xA0", ":", "," }
    .. line:sub(at + 1) end
  if kind == 4 then return line .. " " .. one_of{ "--", "# x", "// dead", "US", "(slow)", "x y z" }
  end
  if kind == 5 then return line .. one_of{ " ", "," } .. line end
  return line:sub(at) .. line:sub(1, at - 1)
end

describe("a damaged line", function()
  it("is read or reported, and the others stay what they are", function()
    math.randomseed(seed + 43)
    for _ = 1, rounds * 4 do
      local urls, lines = {}, {}
      local write = layouts[one_of{ "host:port:user:password", "user:password@host:port",
        "raw URL", "columns of blanks" }]
      for at = 1, 8 do
        local proxy = random_proxy(true)
        urls[at], lines[at] = url_of(proxy), write(proxy, before_colon(proxy))
      end
      local which = math.random(2, 7)
      lines[which] = damage(lines[which])
      local text = table.concat(lines, "\n")
      local found = read(text)
      assert.is_nil(found.refused, text)
      local is_empty = not lines[which]:find("[^%s]") or lines[which]:find("^%s*[#;]")
        or lines[which]:find("^%s*//")
      local is_read = #found.urls == 8
      if is_read or is_empty then
        assert.same({}, found.bad, text)
      else
        assert.same({ which }, found.bad, text)
      end
      if not is_read then table.remove(urls, which) end
      for at, url in ipairs(urls) do
        if not is_read or at ~= which then assert.equal(url, found.urls[at], text) end
      end
    end
  end)

  -- What follows the address of a proxy without credentials never becomes credentials unnoticed.
  it("without credentials does not get any from a remark", function()
    math.randomseed(seed + 47)
    local remarks = { "--", "-", "//", ";", "—", "=>", "(US)", "[DE]", "US", "elite",
      "120ms", "99%", "2024-01-01", "12:30", "12:30:59", "none", "N/A", "type=elite", "?", "*",
      "'x'", '"x"', "10.0.0.9", "socks5" }
    for _ = 1, rounds * 10 do
      local proxy = random_proxy(true)
      proxy.username, proxy.password = nil, nil
      local comma = one_of{ " ", "\t", ",", ";", "|" }
      local line = proxy.host .. (math.random(2) == 1 and comma or ":") .. proxy.port
      if proxy.host:find(":", 1, true) then line = ("[%s]:%d"):format(proxy.host, proxy.port) end
      for _ = 1, math.random(3) do line = line .. comma .. one_of(remarks) end
      local found = read("10.9.8.7:6543\n" .. line .. "\n")
      assert.equal(2, #found.urls + #found.bad, line)
      if found.urls[2] then assert.is_nil(found.urls[2]:find("@", 1, true), line) end
    end
  end)
end)
