-- lua/proxylua/export: each format held against what reads it, with credentials that are hard to
-- write.

local core = require "proxylua.core"
local program = require "spec.support.program"
local px = require "proxylua"
local sandboxes = require "spec.support.sandbox"
local yaml = require "lyaml"

local folder

setup(function() folder = program.folder() end)
teardown(function() program.remove(folder) end)

local function export(list, format, options)
  local all = { format = format }
  for name, value in pairs(options or {}) do all[name] = value end
  return px.export.text(list, all)
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
  local record = { host = "10.0.0.1", port = 8080, protocol = "http", username = username,
    password = password }
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
  local user, password = word(hostile .. "abc", math.random(12)),
    word(hostile .. "abc", math.random(12))
  if kind == 2 then password = password .. unicode[math.random(#unicode)] .. "x" end
  return user, password
end

local protocols = { "http", "https", "socks4", "socks4a", "socks5", "socks5h" }
local hosts = { "10.0.0.1", "2001:db8::1", "proxy-1.example" }

-- Those of some random proxies that a format takes; it has to take what is harmless, and say why it
-- takes what it does not.
local function taken(format, count)
  local list = { proxy("user", "pass"), proxy(nil, nil) }
  for _ = 1, count do
    local user, password = credentials()
    local one = proxy(user, password, { protocol = protocols[math.random(6)],
      host = hosts[math.random(3)] })
    local text, err = px.try(export, one, format)
    if text then
      list[#list + 1] = one
    else
      assert.equal("usage", err.kind)
      assert.matches("^proxy 1 %(.*%) cannot be written as " .. format:gsub("%p", "%%%0") .. ": ",
        err.message)
      assert.is_nil(#password > 3 and err.message:find(password, 1, true) or nil)
    end
  end
  return list
end

local function read_back(path)
  local list = {}
  for one in px.proxies.each(path) do list[#list + 1] = one end
  return list
end

describe("px.export", function()
  before_each(function() math.randomseed(7) end)

  for _, format in ipairs(px.export.formats()) do
    it("is read back by px.proxies.each: " .. format.name, function()
      local options = format.name == "curl" and { url = "http://127.0.0.1/" } or nil
      local list = taken(format.name, 400)
      assert.is_true(#list > 30, #list)
      local read = read_back(file_of(list, format.name, options))
      assert.equal(#list, #read)
      for at, one in ipairs(list) do
        local given = assert(require "proxylua.proxies.address".complete{
          host = one.host, port = one.port, protocol = one.protocol, username = one.username,
            password = one.password,
        })
        assert.equal(given.url, read[at].url)
      end
    end)
  end
end)

-- --- every format, every protocol, every hard login ---

local logins = {
  {}, { "u" }, { "u", "" }, { "", "p" }, { "u", "p" }, { "u:v", "p" }, { "u", "p:q" },
  { "u", "p:socks5" }, { "u", "p#q" }, { "u", "p,q" }, { "u", "p q" }, { "u", " p" }, { "u", "p " },
  { "u", "p@10.0.0.2:80" }, { "u@v", "p@q" }, { "10.0.0.2", "80" }, { "john.doe", "1234" },
  { "localhost", "80" }, { "socks5", "http" }, { "US", "elite" }, { "u", 'p"q' }, { "u", '"p"' },
  { "u", "'p'" }, { "u", "p\\n" }, { "u", "%41" }, { "u", "p%" }, { "u", "\u{a0}" },
  { "ü", "€" }, { "u", "\xFF\xFE" }, { "u", "p\0q" }, { "u", "p\nq" }, { "u\tv", "p" },
  { "*", "p" }, { "NEGOTIATE", "p" }, { "$u", "p" }, { "007", "0x1F" }, { "null", "~" },
  { "yes", "true" }, { "1e3", "1_000" }, { "- u", "? p" }, { "{u}", "[p]" }, { "&u", "*p" },
  { "!u", "|p" }, { ("u"):rep(64), ("p"):rep(63) }, { ("u"):rep(64), ("p"):rep(64) },
  { ("u"):rep(255), ("p"):rep(255) }, { "u", "p;q|r" }, { "u", "://" }, { "http://u", "p" },
}

describe("a proxy is read back as it was written, or refused with a reason:", function()
  local address = require "proxylua.proxies.address"

  for _, format in ipairs(px.export.formats()) do
    if format.summary ~= "added by a script" then
      it(format.name, function()
        local written = 0
        for _, protocol in ipairs(protocols) do
          for _, host in ipairs(hosts) do
            for _, login in ipairs(logins) do
              local one = proxy(login[1], login[2], { protocol = protocol, host = host })
              local text, err = px.try(export, one, format.name)
              local what = ("%s %s %q %q"):format(protocol, host, login[1] or "", login[2] or "")
              if text then
                written = written + 1
                local list, given = {}, { text }
                local ok, problem = pcall(function()
                  for read in px.proxies.each{ read = function() return table.remove(given) end } do
                    list[#list + 1] = read.url
                  end
                end)
                assert.is_true(ok, what .. ": " .. tostring(problem))
                assert.same({ address.complete(one).url }, list, what)
              else
                assert.equal("usage", err.kind)
                assert.matches("cannot be written as ", err.message, 1, true)
              end
            end
          end
        end
        assert.is_true(written >= 30, written)
      end)
    end
  end

  it("JSON and YAML of another formatter too", function()
    math.randomseed(29)
    for _, format in ipairs{ "json", "foxyproxy", "switchyomega", "sing-box", "gost" } do
      local list = taken(format, 100)
      local path = file_of(list, format)
      shell(("jq . %s > %s.pretty && jq -c . %s > %s.short"):format(path, path, path, path))
      for _, form in ipairs{ ".pretty", ".short" } do
        local read = read_back(path .. form)
        assert.equal(#list, #read)
        for at, one in ipairs(list) do
          assert.equal(address.complete(one).url, read[at].url)
        end
      end
    end
    local list = taken("clash", 100)
    local document = yaml.load(program.read(file_of(list, "clash")))
    local read = read_back(program.write(folder .. "/clash.yaml", yaml.dump{ document }))
    for at, one in ipairs(list) do assert.equal(address.complete(one).url, read[at].url) end
    assert.equal(#list, #read)
  end)
end)

-- --- the readers themselves ---

local function decoded(text)
  return core.json.decode(text)
end

-- What jq says of a file.
local function jq(path, filter)
  local text, ok = shell(("jq -c %s %s"):format(program.quote(filter), program.quote(path)))
  assert.is_true(ok)
  return decoded(text)
end

-- Records as { host, port, username, password }, what is absent as "".
local function plain(list)
  local out = {}
  for at, one in ipairs(list) do
    out[at] = { one.host, one.port, one.username or "", one.password or "" }
  end
  return out
end

describe("a JSON parser reads", function()
  local filters = {
    json = "[.[]|[.host,.port,.username//\"\",.password//\"\"]]",
    foxyproxy = "[.data[]|[.hostname,(.port|tonumber),.username,.password]]",
    switchyomega =
      "[to_entries|map(select(.key|startswith(\"+\")))|sort_by(.key[7:]|tonumber)[].value"
      .. "|[.fallbackProxy.host,.fallbackProxy.port,.auth.fallbackProxy.username//\"\","
      .. ".auth.fallbackProxy.password//\"\"]]",
    ["sing-box"] =
      "[.outbounds[]|select(.server)|[.server,.server_port,.username//\"\",.password//\"\"]]",
    gost =
      "[.chains[0].hops[0].nodes[]|(.addr|capture(\"^\\\\[?(?<h>.*?)\\\\]?:(?<p>[0-9]+)$\")) as $a"
      .. "|[$a.h,($a.p|tonumber),.connector.auth.username//\"\",.connector.auth.password//\"\"]]",
  }

  for format, filter in pairs(filters) do
    it(format, function()
      math.randomseed(11)
      local list = taken(format, 300)
      assert.same(plain(list), jq(file_of(list, format), filter))
    end)
  end

  it("the selector of sing-box, and schemaVersion of SwitchyOmega, for any number of proxies",
    function()
    local empty = { allow_empty = true }
    for count = 0, 2 do
      local list = {}
      for at = 1, count do list[at] = proxy("u", "p") end
      local path = file_of(list, "sing-box", empty)
      local tags = jq(path, "[.outbounds[]|select(.type==\"selector\").outbounds[]]")
      assert.equal(count, #tags)
      assert.equal(count > 0 and "proxies" or nil, jq(path, ".route").final)
      assert.equal(2, jq(file_of(list, "switchyomega", empty), ".schemaVersion"))
      for _, format in ipairs{ "json", "foxyproxy" } do
        jq(file_of(list, format, empty), ".")
      end
    end
  end)
end)

it("a YAML parser reads what Clash is given", function()
  math.randomseed(13)
  local list = taken("clash", 400)
  local document = yaml.load(program.read(file_of(list, "clash")))
  assert.equal(#list, #document.proxies)
  for at, one in ipairs(list) do
    local read = document.proxies[at]
    assert.same({ one.host, one.port, one.username or "", one.password or "" },
      { read.server, read.port, read.username or "", read.password or "" })
    assert.equal(one.protocol == "https" or nil, read.tls)
    assert.equal(read.name, document["proxy-groups"][1].proxies[at])
  end
  assert.same({ "MATCH,proxies" }, document.rules)
  assert.same({ "REJECT" }, yaml.load(export({}, "clash"))["proxy-groups"][1].proxies)
end)

it("a field of csv that is neither text nor number stays empty", function()
  local text = export({ proxy("a", "b", { country = { code = "US" }, order_id = 7 }) }, "csv")
  assert.equal("10.0.0.1,8080,a,b,http,,7\r\n", text:match("\n(.*)"))
end)

it("a CSV parser reads csv", function()
  math.randomseed(17)
  local list = taken("csv", 300)
  local import = ".import --csv " .. file_of(list, "csv") .. " t"
  local query = "select host, port, hex(username), hex(password), protocol from t"
  local text = shell(("sqlite3 :memory: -cmd %s %s"):format(program.quote(import),
    program.quote(query)))
  local at = 0
  for host, port, user, password, protocol in text:gmatch("([^|\n]*)|(%d+)|(%x*)|(%x*)|(%w+)\n") do
    at = at + 1
    local function raw(digits)
      return (digits:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
    end
    local one = list[at]
    assert.same({ one.host, one.port, one.username or "", one.password or "", one.protocol }, {
      host, tonumber(port), raw(user), raw(password), protocol,
    })
  end
  assert.equal(#list, at)
end)

it("a shell reads env", function()
  math.randomseed(19)
  local list = taken("env", 60)
  local path = file_of(list, "env")
  local text =
    shell(("env -i sh -c 'set -ae; . %s; i=1; while [ $i -le %d ]; do eval echo \"\\$PROXY_$i\"; "
    .. "i=$((i+1)); done; echo $all_proxy'"):format(path, #list))
  local at = 0
  for url in text:gmatch("[^\n]+") do
    at = at + 1
    local one = px.proxies.parse(url)
    local given = list[at] or list[1]
    assert.same({ given.username ~= "" and given.username or nil, given.host, given.port,
      given.protocol },
      { one.username ~= "" and one.username or nil, one.host, one.port, one.protocol })
    assert.equal(given.password or "", one.password or "")
  end
  assert.equal(#list + 1, at)
end)

describe("through the proxies that a sandbox sells", function()
  local sandbox, list

  -- With a seed: now and then no password of the few bought can be written as txt.
  local function buy(settings, quantity)
    settings.seed = 7
    sandbox = sandboxes.start(settings)
    list = sandbox:eval(([[
      local order = px.orders.create{ type = "isp", quantity = %d, country = "US", period = 30 }
      return px.orders.wait(order.id)
    ]]):format(quantity))
    list = type(list) == "table" and list[1] and type(list[1]) == "table" and list or { list }
  end

  -- The usernames of the proxies that the trace page was asked through.
  local function seen(text)
    local found = {}
    for name in text:gmatch("proxy=(%S+)") do found[#found + 1] = name end
    return found
  end

  local function names()
    local all = {}
    for at, one in ipairs(list) do all[at] = one.username end
    return all
  end

  after_each(function() sandbox:stop() end)

  it("curl -K fetches, with any characters in the passwords", function()
    buy({ passwords = "hard" }, 8)
    local text, ok = shell("curl -s --noproxy '' -K " .. file_of(list, "curl",
      { url = sandbox.trace_url }))
    assert.is_true(ok)
    assert.same(names(), seen(text))
    text = shell(("curl -s --noproxy '' -K %s %s"):format(file_of({ list[1] }, "curl"),
      sandbox.trace_url))
    assert.same({ list[1].username }, seen(text))
  end)

  it("curl takes every URL and the environment", function()
    buy({ passwords = "hard" }, 4)
    local text = ""
    for url in export(list, "url"):gmatch("[^\n]+") do
      text = text .. shell(("curl -s --noproxy '' -x %s %s"):format(program.quote(url),
        sandbox.trace_url))
    end
    assert.same(names(), seen(text))
    text = shell(("set -a; . %s; curl -s --noproxy '' %s"):format(file_of(list, "env"),
      sandbox.trace_url))
    assert.same({ list[1].username }, seen(text))
  end)

  it("proxychains4 connects", function()
    buy({}, 3)
    for at, one in ipairs(list) do
      local text = shell(("proxychains4 -q -f %s curl -s --noproxy '*' %s"):format(file_of({ one },
        "proxychains"),
        sandbox.trace_url))
      assert.same({ list[at].username }, seen(text))
    end
  end)

  it("px.http fetches through what was written and read", function()
    buy({ passwords = "hard" }, 4)
    for _, format in ipairs{ "txt", "csv", "json", "squid", "clash", "gost", "env" } do
      local taken_ones, text = {}, ""
      for _, one in ipairs(list) do
        if px.try(export, one, format) then taken_ones[#taken_ones + 1] = one end
      end
      for one in px.proxies.each(file_of(taken_ones, format)) do
        text = text .. px.http.get(sandbox.trace_url, { proxy = one }).body
      end
      assert.equal(#taken_ones, #seen(text), format)
    end
  end)
end)

describe("squid", function()
  if not os.getenv("EXPORT_LONG") then
    return pending("runs with EXPORT_LONG=1, as make check-export does")
  end

  it("takes every line", function()
    math.randomseed(23)
    local list = taken("squid", 300)
    local path = file_of(list, "squid")
    local text, ok = shell(("PATH=$PATH:/usr/sbin squid -k parse -f %s 2>&1"):format(path))
    assert.is_true(ok, text)
    local count = select(2, text:gsub("Processing: cache_peer ", ""))
    assert.equal(#list, count)
    assert.is_nil(text:find("ERROR") or text:find("FATAL"), text)
  end)

  -- A proxy that keeps its connections open and responds with the login of each request.
  local server = [[
    use IO::Socket::INET; use MIME::Base64; $SIG{CHLD} = "IGNORE"; $| = 1;
    my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 64);
    print $l->sockport, "\n";
    while (my $c = $l->accept) {
      next if fork; my $head = "";
      while (<$c>) {
        $head .= $_; next unless /^\r?$/;
        my ($a) = $head =~ /^Proxy-Authorization: Basic (\S+)/mi;
        my $body = unpack("H*", decode_base64($a)) . "\n"; $head = "";
        print $c "HTTP/1.1 200 OK\r\nContent-Length: ", length($body), "\r\n\r\n", $body;
        $c->flush;
      }
      exit;
    }]]

  it("uses each of twelve logins at one host and port", function()
    local home, port = program.folder(), program.free_port()
    local script = program.write(home .. "/proxy.pl", server)
    local proxy_pipe = assert(io.popen("echo $$; exec perl " .. script))
    local proxy_pid, proxy_port = proxy_pipe:read("n", "n")
    local list, expected = {}, {}
    for at = 1, 12 do
      local user, password = "u" .. at, ("p"):rep(127 - #("u" .. at))
      list[at] = proxy(user, password, { host = "127.0.0.1", port = proxy_port })
      expected[user .. ":" .. password] = true
    end
    local config = program.write(home .. "/squid.conf", table.concat({
      "http_port 127.0.0.1:" .. port, "http_access allow all", "cache deny all",
      "pid_filename none", "access_log none", "cache_log " .. home .. "/log", "coredump_dir none",
      "shutdown_lifetime 0 seconds", "visible_hostname here", "", export(list, "squid"),
    }, "\n"))
    local pipe = assert(io.popen(("chmod 755 %s; cd %s; echo $$; PATH=$PATH:/usr/sbin exec squid "
      .. "-N -f %s >%s/out 2>&1"):format(home, home, config, home)))
    local pid = pipe:read("n")
    finally(function()
      shell(("kill -KILL %d %d 2>/dev/null"):format(pid, proxy_pid))
      pipe:close()
      proxy_pipe:close()
      program.remove(home)
    end)
    local fetch = ("curl -s --noproxy '' -x http://127.0.0.1:%d http://10.9.8.7/"):format(port)
    local ends, text = core.task.clock() + 30
    repeat
      text = shell(fetch)
      if text == "" then core.task.sleep(0.05) end
    until text ~= "" or core.task.clock() > ends
    local found = {}
    for _ = 1, 36 do
      local login = shell(fetch):match("^%x+"):gsub("%x%x", function(digits)
        return string.char(tonumber(digits, 16))
      end)
      found[login] = true
    end
    assert.same(expected, found)
  end)
end)

-- --- what cannot be written, and where it goes ---

describe("a format refuses what it cannot carry:", function()
  local host6, name = { host = "::1" }, { host = "proxy.example" }
  for _, case in ipairs{
    { "txt", proxy("a:b", "c"), "colon" }, { "txt", proxy("a", "b\n"), "control byte" },
    { "txt", proxy("a", "b "), "blank" }, { "csv", proxy("a\0", "b"), "NUL" },
      { "json", proxy("a", "\xFF"), "UTF%-8" },
    { "curl", proxy("a", "\0"), "NUL" }, { "proxychains", proxy("a b", "c"), "blank" },
    { "proxychains", proxy("a", "b", name), "names" }, { "proxychains", proxy("", "b"),
      "empty username" },
    { "proxychains", proxy("a", "b", { protocol = "https" }), "protocol https" },
    { "scrapy", proxy("ü", "b"), "ASCII" }, { "scrapy", proxy("a", "b", { protocol = "socks5" }),
      "protocol socks5" },
    { "squid", proxy("*", "b"), "meaning of its own" },
    { "squid", proxy("u", ("b"):rep(127)), "128" },
    { "txt", proxy("a", "b#c"), "write a URL" }, { "txt", proxy("a", "b,c"), "write a URL" },
    { "txt", proxy("a", "b:socks5"), "write a URL" },
    { "txt", proxy("a", "1", { host = "a.b", username = "c.d" }), "write a URL" },
    { "clash", proxy("a", "b", { protocol = "socks5h" }), "socks5h" },
    { "sing-box", proxy("a", "b", { protocol = "socks5h" }), "socks5h" },
    { "gost", proxy("a", "b", { protocol = "socks5h" }), "socks5h" },
    { "proxychains", proxy("a", "b", { protocol = "socks5h" }), "socks5h" },
    { "switchyomega", proxy("a", "b", { protocol = "socks5h" }), "socks5h" },
      { "squid", proxy("a", "b", { protocol = "socks5" }), "socks5" },
    { "3proxy", proxy('"a', "b"), "meaning of its own" }, { "3proxy", proxy("a", ("b"):rep(65)),
      "64" },
    { "clash", proxy("a", "b", { protocol = "socks4" }), "socks4" },
    { "clash", proxy("a", ""), "password is empty" },
    { "clash", proxy("", "b", { protocol = "socks5" }), "username is empty" },
      { "env", proxy("a", "b\0"), "NUL" },
    { "sing-box", proxy("", "b"), "username is empty" },
    { "gost", proxy("", "b"), "username is empty" },
    { "foxyproxy", proxy("a", ""), "password is empty" },
    { "foxyproxy", proxy("", "b"), "username is empty" },
    { "foxyproxy", proxy("ü", "b"), "Latin%-1" },
    { "switchyomega", proxy("a", "\xC3"), "UTF%-8" }, { "gost", proxy("\xC3", "b", host6),
      "UTF%-8" },
  } do
    local format, one, why = table.unpack(case)
    it(("%s, %q and %q"):format(format, one.username, one.password), function()
      local path = program.write(folder .. "/before", "before")
      local text, err = px.try(px.export.file, { proxy("fine", "fine"), one }, path, {
        format = format, url = format == "curl" and "http://x/" or nil,
      })
      assert.is_nil(text)
      assert.equal("usage", err.kind)
      assert.matches("^proxy 2 %(.*:8080%) cannot be written as " .. format:gsub("%p", "%%%0")
        .. ": ", err.message)
      assert.matches(why, err.message)
      assert.equal("before", program.read(path))
    end)
  end

  it("a value that is not a proxy", function()
    for _, one in ipairs{
      proxy("a", "b", { host = "a b" }), proxy("a", "b", { host = "a\nb" }),
        proxy("a", "b", { port = 0 }),
      proxy("a", "b", { protocol = "ftp" }), proxy(1, "b"), 7,
    } do
      for _, format in ipairs{ "txt", "json", "squid" } do
        local ok, err = px.try(export, { one }, format)
        assert.same({ nil, "usage" }, { ok, err.kind })
      end
    end
  end)

  it("several proxies for curl that do not say what to fetch", function()
    local _, err = px.try(export, { proxy("a", "b"), proxy("a", "b") }, "curl")
    assert.matches("one proxy a transfer", err.message)
  end)
end)

describe("px.export", function()
  it("takes lists, iterators, URLs and single records", function()
    local url = "http://u:p@10.0.0.1:80\n"
    for _, given in ipairs{ "10.0.0.1:80:u:p", { "http://u:p@10.0.0.1:80" },
      px.proxies.parse("10.0.0.1:80:u:p") } do
      assert.equal(url, export(given))
    end
    local left = 3
    assert.equal(url:rep(3), export(function()
      left = left - 1
      return left >= 0 and px.proxies.parse("10.0.0.1:80:u:p") or nil
    end, "url"))
    assert.equal("", export({}, "txt"))
  end)

  it("writes lines of one's own", function()
    local one = proxy("me", "p:w", { host = "::1", country = "US" })
    for template, line in pairs{
      ["%login%:%password%@%ip%:%port%"] = "me:p:w@[::1]:8080", ["%ip% %port%"] = "::1 8080",
        ["100%%"] = "100%",
      ["%password.url%|%url%"] = "p%3Aw|http://me:p%3Aw@[::1]:8080", ["%n%\\t%country%"] = "1\tUS",
        [""] = "",
    } do
      assert.equal(line .. "\n", export(one, nil, { template = template }))
    end
    for template, why in pairs{
      ["%nothing%"] = "%%nothing%%", ["50%"] = "without its end", ["%pasword%"] = "did you mean",
    } do
      local _, err = px.try(export, one, nil, { template = template })
      assert.matches(why, err.message)
    end
    local _, err = px.try(export, proxy("a", "b\n"), nil, { template = "%login%" })
    assert.matches("control byte", err.message)
  end)

  it("takes formats of one's own", function()
    px.export.register("own", function(one, number)
      if one.host == "bad.x" then return nil, "it is bad" end
      return number .. "=" .. one.host
    end)
    assert.equal("1=10.0.0.1\n2=h.x\n", export({ proxy(), "h.x:1" }, "own"))
    local _, err = px.try(export, { "bad.x:1" }, "own")
    assert.matches("proxy 1 %(bad%.x:1%) cannot be written as own: it is bad", err.message)
    assert.is_false((pcall(px.export.register, "a b", print)))
    assert.is_false((pcall(px.export.register, "ab", 1)))
  end)

  it("says which formats there are when it does not know one", function()
    local _, err = px.try(export, {}, "clsh")
    assert.matches("did you mean clash", err.message)
    assert.equal(export({}, "clash"), export({}, "mihomo"))
  end)

  it("chooses among a thousand parents at most in one service of 3proxy, with weights that add up",
    function()
    local list = {}
    for at = 1, 1003 do list[at] = proxy("u" .. at, "p") end
    local text = export(list, "3proxy")
    local sums, services = { 0 }, 0
    for line in text:gmatch("[^\n]+") do
      local weight = line:match("^parent (%d+) http 10%.0%.0%.1 8080 \"u%d+\" \"p\"$")
      if weight then sums[services + 1] = (sums[services + 1] or 0) + weight end
      if line:find("^proxy ") then
        services = services + 1
        assert.equal("proxy -i127.0.0.1 -p" .. 3127 + services, line)
      end
    end
    assert.same({ 1000, 1000 }, sums)
  end)

  it("leaves the collector as it was, however many there are", function()
    local before = collectgarbage("incremental")
    for _, chosen in ipairs{ "incremental", "generational" } do
      collectgarbage(chosen)
      local left = 6000
      assert.equal(6000, px.export.file(function()
        left = left - 1
        return left >= 0 and proxy("u", "p") or nil
      end, folder .. "/many"))
      assert.equal(chosen, collectgarbage("incremental"))
    end
    collectgarbage(before)
  end)

  it("writes files that only their owner can read, complete or not at all", function()
    local path = folder .. "/private"
    assert.equal(2, px.export.file({ "h.x:1", "h.x:2" }, path))
    assert.equal("600 26\n", (shell("stat -c '%a %s' " .. path)))
    program.write(path, "before")
    assert.same({ false, "stop" }, { pcall(px.export.file, function() error("stop", 0) end, path) })
    assert.equal("before", program.read(path))
    local code = ("require('proxylua').export.file(function() return 'h.x:1' end, %q)"):format(path)
    local run = program.command(folder, { "-e", code })
    shell(("sh -c 'ulimit -f 8; exec %s' 2>%s/err"):format(run:gsub("'", "'\\''"), folder))
    assert.matches("cannot write", program.read(folder .. "/err"))
    assert.equal("before", program.read(path))
    assert.equal("", (shell("ls -A " .. folder .. " | grep '^[.]'")))
  end)
end)
