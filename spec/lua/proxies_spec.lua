-- lua/proxylua/proxies/init.lua: proxies in files, in each format.

local address = require "proxylua.proxies.address"
local program = require "spec.support.program"
local proxies = require "proxylua.proxies"

-- What is read of a text, in pieces of a few bytes.
local function source(text, piece)
  local at = 1
  return { read = function()
    if at > #text then return nil end
    local part = text:sub(at, at + piece - 1)
    at = at + piece
    return part
  end }
end

local function read(text, options, piece)
  local list = {}
  for proxy in proxies.each(source(text, piece or 7), options) do list[#list + 1] = proxy end
  return list
end

local function urls(...)
  local list = {}
  for at, proxy in ipairs(read(...)) do list[at] = proxy.url end
  return list
end

describe("px.proxies.parse", function()
  for text, url in pairs{
    ["10.0.0.1:80"] = "http://10.0.0.1:80",
    ["10.0.0.1:80:me:pass"] = "http://me:pass@10.0.0.1:80",
    ["10.0.0.1:80:me:p:a@b:9"] = "http://me:p%3Aa%40b%3A9@10.0.0.1:80",
    ["me:p/a@ss@proxy.example:8080"] = "http://me:p%2Fa%40ss@proxy.example:8080",
    ["proxy.example:8080@me:pass"] = "http://me:pass@proxy.example:8080",
    ["[2001:db8::1]:80:me:pass"] = "http://me:pass@[2001:db8::1]:80",
    ["me:pass@[::1]:80"] = "http://me:pass@[::1]:80",
    ["socks5://u%3A:p%00%FF@[fe80::1%25eth0]:1/"] = "socks5://u%3A:p%00%FF@[fe80::1%25eth0]:1",
    ["HTTPS://h-1_x:65535"] = "https://h-1_x:65535",
    ["http://me@h.x:1"] = "http://me@h.x:1",
    ["http://:secret@h.x:1"] = "http://:secret@h.x:1",
  } do
    it("reads " .. text, function() assert.equal(url, proxies.parse(text).url) end)
  end

  for _, text in ipairs{
    "", "h", "h.x:0", "h.x:65536", "h:x", "ftp://h.x:1", "http://h", "a b:80", "-x:80", "h\0:80",
      "::1:80",
  } do
    it(("refuses %q"):format(text), function()
      local ok, err = pcall(proxies.parse, text)
      assert.same({ false, "usage" }, { ok, err.kind })
    end)
  end

  it("uses the given protocol when the text has none", function()
    assert.equal("socks5h", proxies.parse("h.x:1", { protocol = "socks5h" }).protocol)
    assert.equal("http", proxies.parse("http://h.x:1", { protocol = "socks5h" }).protocol)
  end)

  it("reads back any credentials from a URL", function()
    for seed = 1, 300 do
      math.randomseed(seed)
      local function word()
        local bytes = {}
        for at = 1, math.random(1, 12) do bytes[at] = string.char(math.random(0, 255)) end
        return table.concat(bytes)
      end
      local one = assert(address.complete{ host = "h.x", port = 1, username = word(),
        password = word() })
      assert.same(one, proxies.parse(one.url))
    end
  end)
end)

describe("px.proxies.each", function()
  it("reads lines of any shape, past comments, empty lines and a byte order mark", function()
    local text = "\xEF\xBB\xBF# mine\r\n\r\nh.x:1:u:p\r\n  socks5://a:b@h.x:2\n\n[::1]:3\n"
      .. "u:p@h.x:4"
    for piece = 1, 9 do
      assert.same({ "http://u:p@h.x:1",
        "socks5://a:b@h.x:2", "http://[::1]:3", "http://u:p@h.x:4" },
        urls(text, nil, piece))
    end
    assert.same({}, urls(""))
    assert.same({}, urls("\n# none\n \n"))
    assert.same({ "http://[::1]:3" }, urls("[::1]:3"))
    assert.same({ "http://u:p@[fe80::1%25eth0]:1080" }, urls("[fe80::1%eth0]:1080:u:p\n"))
  end)

  it("says what is wrong, and where", function()
    local ok, err = pcall(read, "h.x:1\nnothing\nh.x:2\n")
    assert.same({ false, "usage" }, { ok, err.kind })
    assert.matches("^the input:2: ", err.message)
    local bad = {}
    local list = urls("h.x:1\nnothing\nh.x:2\nh.x:0", { on_bad = function(line, why)
      bad[#bad + 1] = { line, why }
    end })
    assert.same({ "http://h.x:1", "http://h.x:2" }, list)
    assert.same({ 2, 4 }, { bad[1][1], bad[2][1] })
    assert.matches("0 is not a port", bad[2][2])
  end)

  it("refuses lines without an end", function()
    local ok, err = pcall(read, ("x"):rep(1 << 20), nil, 1 << 14)
    assert.same({ false, "usage" }, { ok, err.kind })
    assert.matches("the input:1: the line is longer than 65536 bytes", err.message)
  end)

  it("reads CSV: with a heading and without one", function()
    local quoted =
      'port,ip,login,password\r\n80,10.0.0.1,"a ""b"", c","line\r\nnext\n"\r\n\r\n81,"::1",,\r\n'
    for piece = 1, 20 do
      local list = read(quoted, nil, piece)
      assert.same({ 'a "b", c', "line\r\nnext\n" }, { list[1].username, list[1].password })
      assert.equal("http://[::1]:81", list[2].url)
    end
    assert.same({ "socks5://u:p@10.0.0.1:80" }, urls("10.0.0.1,80,u,p,socks5\n"))
    assert.same({ "http://u:p@h.x:80" }, urls("name,url\nx,http://u:p@h.x:80\n"))
    local ok, err = pcall(read, 'host,port,username\nh.x,1,"x\n')
    assert.same({ false, "usage" }, { ok, err.kind })
  end)

  it("reads back what the program writes into a pipe, with any characters in the "
    .. "credentials", function()
    local tables, list = require "proxylua.term.table", {}
    for at, login in ipairs{
      { "u", "p" }, { '"u', '"p' }, { 'u"', '""' }, { "#u", "p,;:@q" }, { "", "p" },
        { "u\tv", "p\r\nq" },
      { " u ", " " },
    } do
      list[at] = assert(address.complete{ host = "h.x", port = at, username = login[1],
        password = login[2] })
    end
    list[#list + 1] = assert(address.complete{ host = "::1", port = 1, protocol = "socks5" })
    local lines = tables.plain(tables.known_columns("proxy"), list)
    for piece = 1, 9 do
      local back = urls(table.concat(lines, "\n") .. "\n", nil, piece)
      for at, proxy in ipairs(list) do assert.equal(proxy.url, back[at]) end
    end
    table.remove(lines, 1)
    assert.equal(#list, #read(table.concat(lines, "\n")))
    assert.same({ list[1].url, list[2].url }, urls(table.concat(lines, "\r\n", 1, 2) .. "\r\n"))
  end)

  it("reads JSON: an object a line, a list, a list of texts, and what lies deep", function()
    local two = { "http://u:p@h.x:1", "socks5://h.x:2" }
    local lines =
      '{"host":"h.x","port":1,"username":"u","password":"p"}\n'
      .. '{"ip":"h.x","port":"2","type":"socks5"}\n'
    assert.same(two, urls(lines))
    assert.same(two, urls("[\n" .. lines:gsub("}\n{", "},\n{") .. "]\n"))
    assert.same(two, urls("[" .. lines:gsub("}\n{", "},{"):gsub("\n", "") .. "]"))
    assert.same(two, urls('["h.x:1:u:p", "socks5://h.x:2"]'))
    assert.same(two, urls('{\n"data": {\n"proxies": [' .. lines:gsub("}\n{", "},\n{"):gsub("[,{]",
      "%0\n") .. "]}}"))
    local ok, err = pcall(read, '{"host": ')
    assert.same({ false, "usage" }, { ok, err.kind })
  end)

  it("reads what is on disk, and nothing that is not", function()
    local folder = program.folder()
    finally(function() program.remove(folder) end)
    local path = program.write(folder .. "/list", "h.x:1\n")
    assert.equal("http://h.x:1", proxies.each(path)().url)
    for _, wrong in ipairs{ folder .. "/none", folder } do
      local ok, err = pcall(function() return proxies.each(wrong)() end)
      assert.same({ false, "usage" }, { ok, err.kind })
    end
  end)

  it("reads a million lines in constant memory", function()
    local block, blocks = ("10.0.0.1:8080:user:pass\n"):rep(1000), 200
    local count, most = 0, 0
    collectgarbage()
    local before = collectgarbage("count")
    for _ in proxies.each{ read = function()
      blocks = blocks - 1
      return blocks >= 0 and block or nil
    end } do
      count = count + 1
      if count % 1000 == 0 then most = math.max(most, collectgarbage("count")) end
    end
    assert.equal(200000, count)
    assert.is_true(most - before < 16384, ("it grew by %.0f KiB"):format(most - before))
  end)

  it("reads standard input", function()
    local code = "for p in require('proxylua.proxies').each('-') do print(p.url) end"
    assert.equal("http://h.x:1\n", program.run({ "-e", code }, { stdin = "h.x:1\n" }).out)
  end)
end)

it("a record has the given fields only", function()
  assert.same({ host = "h.x", port = 1, protocol = "http", url = "http://h.x:1" },
    proxies.parse("h.x:1"))
end)

it("a line of a pipe is there before the next one comes", function()
  local home = program.folder()
  local code =
    "for p in require('proxylua').proxies.each('-') do io.write(p.url, '\\n') io.flush() end"
  local out = home .. "/out"
  local pipe = assert(io.popen(program.command(home, { "-e", code }) .. " >" .. out, "w"))
  finally(function()
    pipe:close()
    program.remove(home)
  end)
  pipe:write("h.x:1\n")
  pipe:flush()
  local core = require "proxylua.core"
  local ends = core.task.clock() + 20
  repeat core.task.sleep(0.01) until program.read(out) ~= "" or core.task.clock() > ends
  assert.equal("http://h.x:1\n", program.read(out))
end)
