-- lua/proxylua/proxies: lists as people have them. Each is read as what it is, or refused with its
-- place; none is read as less or as something else.

local core = require "proxylua.core"
local program = require "spec.support.program"
local proxies = require "proxylua.proxies"

local function source(text, piece)
  local at = 1
  return { read = function()
    if at > #text then return nil end
    local part = text:sub(at, at + piece - 1)
    at = at + piece
    return part
  end }
end

-- The URLs of a text, and how many entries were skipped and refused.
local function read(text, piece)
  local urls, skipped, bad = {}, {}, {}
  for proxy in proxies.each(source(text, piece or 4096), {
    on_bad = function(line, why) bad[#bad + 1] = ("%s: %s"):format(line, why) end,
    on_skip = function(_, what) skipped[#skipped + 1] = what end,
  }) do
    urls[#urls + 1] = proxy.url
  end
  return urls, skipped, bad
end

local B <const> = "http://bob:s3c@10.1.2.3:8080"
local S <const> = "socks5://bob:s3c@10.1.2.3:1080"

local function gzip(text)
  local folder = program.folder()
  program.write(folder .. "/list", text)
  os.execute("gzip " .. folder .. "/list")
  local packed = program.read(folder .. "/list.gz")
  program.remove(folder)
  return packed
end

local function utf16(text, big)
  return (big and "\xFE\xFF" or "\xFF\xFE") .. text:gsub(".", big and "\0%0" or "%0\0")
end

describe("a list is read:", function()
  for name, case in pairs{
    ["host:port"] = { "10.1.2.3:8080\n", "http://10.1.2.3:8080" },
    ["host:port:user:password"] = { "10.1.2.3:8080:bob:s3c\n", B },
    ["user:password:host:port"] = { "bob:s3c:10.1.2.3:8080\n", B },
    ["digits as credentials"] = { "user1:12345:10.1.2.3:8080\n",
      "http://user1:12345@10.1.2.3:8080" },
    ["user:password@host:port"] = { "bob:s3c@10.1.2.3:8080", B },
    ["host:port@user:password"] = { "10.1.2.3:8080@bob:s3c", B },
    ["host:port@protocol"] = { "10.1.2.3:8080@socks4", "socks4://10.1.2.3:8080" },
    ["host:port:protocol"] = { "10.1.2.3:8080:socks5", "socks5://10.1.2.3:8080" },
    ["protocol:host:port:user:password"] = { "socks5:10.1.2.3:1080:bob:s3c", S },
    ["an @ in a raw password"] = { "10.1.2.3:8080:bob:p@ss", "http://bob:p%40ss@10.1.2.3:8080" },
    ["a colon in a raw password"] = { "10.1.2.3:8080:bob:a:b", "http://bob:a%3Ab@10.1.2.3:8080" },
    ["raw credentials in a URL"] = { "socks5://10.1.2.3:1080:bob:s3c", S },
    ["a remark behind a URL"] = { S .. "#Berlin, 1", S },
    ["a title in a URL"] = { S .. "?title=x", S },
    ["a comment behind a blank"] = { "10.1.2.3:8080:bob:s3c # mine", B },
    ["a slash at the end"] = { B .. "/", B },
    ["protocols in capitals"] = { "SOCKS5://bob:s3c@10.1.2.3:1080", S },
    ["numbers in front"] = { "1. bob:s3c@10.1.2.3:8080\n2) " .. S, B, S },
    ["dashes in front"] = { "- " .. B .. "\n* " .. S, B, S },
    ["protocols in front"] = { "socks5 10.1.2.3 1080 bob s3c\nhttp 10.1.2.3:8080", S,
      "http://10.1.2.3:8080" },
    ["columns of blanks"] = { "10.1.2.3  8080   bob s3c", B },
    ["columns of tabs"] = { "10.1.2.3\t8080\tuser\tpass", "http://user:pass@10.1.2.3:8080" },
    ["columns of commas"] = { "10.1.2.3,8080,bob,s3c\n10.1.2.3, 1080, bob, s3c, socks5", B, S },
    ["columns of semicolons"] = { "10.1.2.3;8080;bob;s3c;http", B },
    ["columns of pipes"] = { "10.1.2.3:8080|bob|s3c", B },
    ["a protocol column"] = { "10.1.2.3,8080,socks5\n10.1.2.4,1080,http",
      "socks5://10.1.2.3:8080", "http://10.1.2.4:1080" },
    ["a country behind"] = { "10.1.2.3:8080 US\n10.1.2.3:8080,DE,elite", "http://10.1.2.3:8080",
      "http://10.1.2.3:8080" },
    ["blanks around"] = { "  10.1.2.3:8080:bob:s3c \t\r\n", B },
    ["CR alone"] = { "10.1.2.3:8080:bob:s3c\r" .. S .. "\r", B, S },
    ["a BOM, comments and empty lines"] = { "\xEF\xBB\xBF\n# x\n; y\n// z\n\n" .. B, B },
    ["a title"] = { "Updated: Thu, 17 Jan 19 17:25:05 +0300\n\n" .. B, B },
    ["a line that names the fields"] = { "ip:port:user:pass\n10.1.2.3:8080:bob:s3c", B },
    ["localhost"] = { "localhost:8080", "http://localhost:8080" },
    ["a word as the host of a URL"] = { "http://proxy:8080", "http://proxy:8080" },
    ["IPv6"] = { "[2001:db8::1]:8080:bob:s3c\nbob:s3c@[::1]:1\n[::1]:2",
      "http://bob:s3c@[2001:db8::1]:8080", "http://bob:s3c@[::1]:1", "http://[::1]:2" },
    ["the zone of an IPv6 address"] = { "[fe80::1%eth0]:1\n[fe80::1%25eth0]:2\n"
      .. "http://[fe80::1%25eth0]:3", "http://[fe80::1%25eth0]:1", "http://[fe80::1%25eth0]:2",
      "http://[fe80::1%25eth0]:3" },
    ["credentials before IPv6"] = { "bob:s3c:[::1]:1", "http://bob:s3c@[::1]:1" },
    ["lines in quotes"] = { '"10.1.2.3:8080:bob:s3c"\n', B },
    ["UTF-16"] = { utf16("10.1.2.3:8080:bob:s3c\r\n"), B },
    ["UTF-16 of the other kind"] = { utf16("10.1.2.3:8080:bob:s3c\r\n", true), B },
    ["UTF-16 without a BOM"] = { utf16("10.1.2.3:8080:bob:s3c"):sub(3), B },
    ["gzip"] = { gzip(B .. "\n" .. S), B, S },
    ["gzip in two members"] = { gzip(B .. "\n") .. gzip(S), B, S },
    ["base64"] = { "aHR0cDovL2JvYjpzM2NAMTAuMS4yLjM6ODA4MAo=\n", B },
    -- columns with a heading
    ["CSV"] = { "ip,port,user,pass\n10.1.2.3,8080,bob,s3c\n", B },
    ["quoted headings"] = { '"IP","Port","User","Pass","Type"\r\n"10.1.2.3","1080","bob","s3c",'
      .. '"SOCKS5"\r\n', S },
    ["names with separators"] = { "Proxy Address;Proxy-Port;user_name;Passwd\n"
      .. "10.1.2.3;8080;bob;s3c", B },
    ["blanks behind commas"] = { "ip, port, user, pass\n10.1.2.3, 8080, bob, s3c", B },
    ["a heading of words"] = { "IP PORT PASS USER\n10.1.2.3 8080 s3c bob", B },
    ["a heading in a comment"] = { "#ip,port,pass,user\n10.1.2.3,8080,s3c,bob", B },
    ["a title before the heading"] = { "My list\nip,port,pass,user\n10.1.2.3,8080,s3c,bob", B },
    ["URLs and credentials in columns"] = { "proxy,username,password\nhttp://10.1.2.3:8080,bob,s3c",
      B },
    ["credentials in one column"] = { "ip,port,auth\n10.1.2.3,8080,bob:s3c", B },
    ["other columns"] = { "country,ip,port,user,pwd,speed\nUS,10.1.2.3,8080,bob,s3c,\"1,5\"", B },
    ["quotes without a heading"] = { '"10.1.2.3","8080","bob","s3c"', B },
    -- JSON
    ["objects a line"] = { '{"ip":"10.1.2.3","port":8080,"login":"bob","password":"s3c"}\n'
      .. '{"server":"10.1.2.3","port":"1080","type":"socks5","user":"bob","pwd":"s3c"}', B, S },
    ["a list of texts"] = { '["10.1.2.3:8080:bob:s3c",\n"' .. S .. '"]', B, S },
    ["rows"] = { '[["10.1.2.3",8080,"bob","s3c"]]', B },
    ["one object"] = { '{\n  "host" : "10.1.2.3",\n  "port" : 8080,\n "auth": {"username": "bob",'
      .. ' "password": "s3c"}}', B },
    ["what lies deep"] = { '{"ok":true,"data":{"my":{"proxies":[{"proxy_address":"10.1.2.3",'
      .. '"port":8080,"username":"bob","password":"s3c"}]}}}', B },
    ["a server that is a URL"] = { '{"server":"http://10.1.2.3:8080","username":"bob",'
      .. '"password":"s3c"}', B },
    ["lists by protocol"] = { '{"http":["10.1.2.3:8080:bob:s3c"],"socks5":[{"ip":"10.1.2.3",'
      .. '"port":1080,"user":"bob","pass":"s3c"}]}', B, S },
    ["a mapping of protocols"] = { '{"http":"' .. B .. '","https":"' .. S .. '"}', B, S },
    ["lists of protocols"] = { '{"data":[{"ip":"10.1.2.3","port":"1080","protocols":["socks5"],'
      .. '"user":"bob","pass":"s3c"}]}', S },
    ["types in objects"] = { '[{"ip":"10.1.2.3","port":1080,"types":[{"type":"socks5"}],'
      .. '"user":"bob","pass":"s3c"}]', S },
    ["categories beside protocols"] = { '[{"ip":"10.1.2.3","port":1080,"type":"residential",'
      .. '"protocol":"SOCKS5","user":"bob","pass":"s3c"}]', S },
    ["comments in JSON"] = { '// x\n{"outbounds":[/* y */{"type":"socks","server":"10.1.2.3",'
      .. '"server_port":1080,"username":"bob","password":"s3c"}]}', S },
    ["escapes"] = { '[{"host":"10.1.2.3","port":1,"username":"\\u00fc\\ud83d\\ude00",'
      .. '"password":"\\udcff\\/"}]', "http://%C3%BC%F0%9F%98%80:%FF%2F@10.1.2.3:1" },
    ["Xray"] = { '{"outbounds":[{"protocol":"socks","settings":{"servers":[{"address":"10.1.2.3",'
      .. '"port":1080,"users":[{"user":"bob","pass":"s3c"}]}]}},{"protocol":"freedom"}],'
      .. '"dns":{"servers":[{"address":"1.1.1.1","port":53}]}}', S },
    ["a gost node"] = { '{"chains":[{"hops":[{"nodes":[{"addr":"10.1.2.3:1080","connector":'
      .. '{"type":"socks5","auth":{"username":"bob","password":"s3c"}},"dialer":{"type":"tcp"}}'
      .. ']}]}]}', S },
    -- YAML
    ["YAML in blocks"] = { "mode: rule\nproxies:\n  - name: a\n    type: socks5\n"
      .. "    server: 10.1.2.3\n    port: 1080\n    username: bob\n    password: s3c\n", S },
    ["YAML in a line"] = { "proxies: [{type: socks5, server: 10.1.2.3, port: 1080, username: bob, "
      .. "password: s3c}]", S },
    ["merges"] = { "x: &a {type: socks5, username: bob, password: s3c}\nproxies:\n- <<: *a\n"
      .. "  server: 10.1.2.3\n  port: 1080\n", S },
    ["plain scalars as they are"] = { "proxies:\n- {server: 10.1.2.3, port: 1, username: 007, "
      .. "password: 1e3}\n- {server: 10.1.2.3, port: 2, username: yes, password: true}",
      "http://007:1e3@10.1.2.3:1", "http://yes:true@10.1.2.3:2" },
    ["gost in YAML"] = { "services:\n- name: s\n  addr: :8080\nchains:\n- name: c\n  hops:\n"
      .. "  - name: h\n    nodes:\n    - name: n\n      addr: 10.1.2.3:1080\n      connector:\n"
      .. "        type: socks5\n        auth:\n          username: bob\n          password: s3c\n"
      .. "      dialer:\n        type: tcp\n", S },
    -- other programs
    ["proxychains.conf"] = { "# x\nquiet_mode\nstrict_chain\n[ProxyList]\n"
      .. "socks5 10.1.2.3 1080 bob s3c\n", S },
    ["squid.conf"] = { ("# a comment\n"):rep(30000) .. "http_port 3128\nacl x src all\n"
      .. "cache_peer 10.1.2.3 parent 8080 0 no-query login=bob:s3c\n", B },
    ["curlrc"] = { "silent\nproxy = \"http://10.1.2.3:8080\"\nproxy-user = \"bob:s3c\"\n", B },
    ["curl's SOCKS options"] = { "--socks5 10.1.2.3:1080\n--proxy-user bob:s3c\n", S },
    ["an environment"] = { "FOO=bar\nexport HTTP_PROXY=\"" .. B .. "\"\nNO_PROXY=localhost\n", B },
    ["FoxyProxy 7"] = { '{"mode":"disabled","k1":{"type":3,"title":"a","active":true,'
      .. '"address":"10.1.2.3","port":1080,"proxyDNS":true,"username":"bob",'
      .. '"password":"s3c"}}', S },
    ["ZeroOmega"] = { '{"+p":{"profileType":"FixedProfile","fallbackProxy":{"scheme":"socks5",'
      .. '"host":"10.1.2.3","port":1080},"auth":{"fallbackProxy":{"username":"bob",'
      .. '"password":"s3c"}}},"schemaVersion":2}', S },
  } do
    it(name, function()
      local text = table.remove(case, 1)
      for _, piece in ipairs{ 3, 4096, 1 << 20 } do
        if piece > 3 or #text < 10000 then
          local urls, _, bad = read(text, piece)
          table.sort(case)
          table.sort(urls)
          assert.same({ {}, case }, { bad, urls })
        end
      end
    end)
  end
end)

describe("a list is refused with its place:", function()
  for name, case in pairs{
    ["a line between proxies"] = { B .. "\n404: Not Found\n" .. S, "^2: " },
    ["two addresses"] = { "10.1.2.3:8080:10.1.2.4:3128", "ambiguous", "both are possible" },
    ["two addresses at an @"] = { "10.1.2.3:8080@10.1.2.4:3128", "both are possible" },
    ["a dotted user at an @"] = { "john.doe:1234@10.1.2.4:3128", "both are possible" },
    ["a word as a host"] = { "nothing:1", "a word without a dot" },
    ["leading zeros"] = { "127.0.0.010:19500", "without leading zeros" },
    ["a number above 255"] = { "999.1.2.3:80", "four numbers from 0 to 255" },
    ["three numbers"] = { "1.2.3:80", "four numbers" },
    ["a wrong IPv6 address"] = { "[2001:db8:::1]:80", "not an IPv6 address" },
    ["IPv6 without brackets"] = { "2001:db8::1:8080", "" },
    ["port 0"] = { "10.1.2.3:0", "not a port" },
    ["a port of six digits"] = { "10.1.2.3:100000:a:b", "" },
    ["a missing password"] = { "10.1.2.3:8080:bob", "password is missing" },
    ["a no-break space"] = { "10.1.2.3:8080:bob:s3c\xC2\xA0", "invisible" },
    ["a zero-width space"] = { "10.1.2.3:8080:bob:s3c\xE2\x80\x8B", "invisible" },
    ["a control byte"] = { "10.1.2.3:8080:bob:s3c\7", "control byte" },
    ["a # in a raw password"] = { "10.1.2.3:8080:bob:s3c#x", "%%23" },
    ["a word behind the credentials"] = { "10.1.2.3:8080:bob:s3c fast", "not understood" },
    ["fields in another order"] = { "ip:port:pass:user\n10.1.2.3:8080:s3c:bob", "^1: " },
    ["a country behind the password"] = { "10.1.2.3:8080:bob:s3c:US", "may be a remark" },
    ["two proxies on a line"] = { "10.1.2.3:8080,10.1.2.4:8080", "one a line" },
    ["two proxies between blanks"] = { "10.1.2.3 8080 10.1.2.4 8080", "one a line" },
    ["two URLs on a line"] = { B .. ", " .. S, "something else" },
    ["a time behind the address"] = { "10.1.2.3:8080 12:30", "password is missing" },
    ["a title with the protocol among others"] = { "Free SOCKS5 and HTTP\n10.1.2.3:1080", "^1: " },
    ["a parameter of a URL"] = { B .. "?plugin=x", "not understood" },
    ["a path in a URL"] = { B .. "/x", "path" },
    ["a protocol of nobody"] = { "gopher://10.1.2.3:80", "gopher" },
    ["a URL without a port"] = { "http://10.1.2.3", "port is missing" },
    ["a cut document"] = { '[\n{"ip":"10.1.2.3","port":1},\n{"ip":"10.1.2.4"', "3: " },
    ["a comma too many"] = { '[{"ip":"10.1.2.3","port":1001,}]', "column 31" },
    ["two values of a key"] = { '[{"ip":"10.1.2.3","port":1,"port":2}]', "twice" },
    ["YAML that is not"] = { "proxies:\n- {a: b\n- c", "begins on line 2" },
    ["an unknown protocol in a record"] = { '[{"ip":"10.1.2.3","port":1,"protocol":"sock5"}]',
      "%[1%]: .*sock5" },
    ["several protocols"] = { '[{"ip":"10.1.2.3","port":1,"protocols":["http","socks5"]}]',
      "several protocols" },
    ["a field like a password"] = { '[{"ip":"10.1.2.3","port":1,"user_pwd_2":"x"}]', "user_pwd_2" },
    ["a column like a user"] = { "ip,port,userx\n10.1.2.3,1,bob", "userx" },
    ["a record without a port"] = { '[{"ip":"10.1.2.3","port":1},{"ip":"10.1.2.4"}]', "%[2%]: " },
    ["a row too short"] = { "ip,port,user,pass\n10.1.2.3,8080,bob", "2: .*3 fields" },
    ["a quote without an end"] = { 'ip,port,user\n10.1.2.3,1,"x\n', "no end" },
    ["a directive with a typo"] = { "cache_peer 10.1.2.3 parent 8080 0\n"
      .. "cache_peeer 10.1.2.4 parent 8080 0", "2: .*cache_peer" },
    ["a username that is a list"] = { '[{"ip":"10.1.2.3","port":1,"username":["u"]}]',
      "username is not a text" },
    ["a password that is an object"] = { '[{"ip":"10.1.2.3","port":1,"user":"u","pass":{"a":1}}]',
      "password is not a text" },
    ["a row among rows that is not a proxy"] = { '[["10.1.2.3","80"],["10.1.2.4","x"]]',
      "%[2%]: " },
    ["dashes as a username"] = { "10.1.2.3:8080 -- c", "username or a remark" },
    ["two words that are remarks"] = { "10.1.2.3 8080 Germany elite", "password or a remark" },
    ["no password behind an @"] = { "10.1.2.3:8080@bob", "password is missing" },
    ["a comma at the end of a password"] = { "10.1.2.3:8080:bob:s3c,", "may belong to" },
    ["two proxies in a URL"] = { "http://10.1.2.3:8080,bob:s3c@10.1.2.4:80", "not understood" },
    ["a URL with other credentials"] = { "10.1.2.3\t8080\tbob\ts3c\thttp://10.1.2.3:8080",
      "differ" },
    ["a row that looks like a comment"] = { "user,pass,ip,port\n#bob,s3c,10.1.2.3,80", "quotes" },
    ["a port that is null"] = { '[{"ip":"10.1.2.3","port":null}]', "%[1%]: the port is missing" },
    ["a host that is null"] = { '[{"ip":null,"port":80}]', "%[1%]: the host is missing" },
    ["a host that is a list"] = { '[{"ip":["10.1.2.3"],"port":80}]', "%[1%]: the host is not" },
    ["a port that is a list"] = { '[{"ip":"10.1.2.3","port":[80]}]', "a list is not a port" },
    ["a password that is false"] = { '[{"ip":"10.1.2.3","port":1,"user":"u","pass":false}]',
      "password is not a text" },
    ["an address as a key"] = { '{"10.1.2.3:80":{"user":"u","pass":"p"}}', "as a key" },
    ["SOCKS over TLS"] = { '[{"ip":"10.1.2.3","port":1,"type":"socks5","tls":true}]', "TLS" },
  } do
    it(name, function()
      local ok, err = pcall(read, case[1])
      local _, _, bad = table.unpack(ok and { read(case[1]) } or {})
      local text = ok and bad[1] or err.message
      assert.is_string(text)
      assert.matches(case[#case], text)
    end)
  end
end)

it("what is not a proxy is counted, and never turned into one", function()
  local urls, skipped, bad = read("ss://YWVzOnB3@10.1.2.3:8388#a\n" .. B .. "\nvmess://abc\n")
  assert.same({ { B }, { "ss", "vmess" }, {} }, { urls, skipped, bad })
  urls, skipped = read('{"outbounds":[{"type":"direct"},{"type":"vless","server":"10.1.2.3",'
    .. '"server_port":1},{"type":"http","server":"10.1.2.3","server_port":8080,"username":"bob",'
    .. '"password":"s3c"}]}')
  assert.same({ { B }, { "direct", "vless" } }, { urls, skipped })
  local ok, err = pcall(read, "vmess://abc\nss://x@y:1\n")
  assert.same({ false, "empty" }, { ok, err.code })
  assert.matches("1 ss, 1 vmess", err.message)
end)

it("an address whose key says nothing of a proxy is counted", function()
  local urls, skipped, bad = read('{"proxies":["' .. B .. '"],"listen":"127.0.0.1:80",'
    .. '"site":"http://x.example:80"}')
  assert.same({ { B }, { "other address" }, {} }, { urls, skipped, bad })
end)

it("a file of another kind is named", function()
  for text, what in pairs{
    ["PK\3\4\20\0"] = "ZIP", ["<!DOCTYPE html><html>"] = "HTML", ["\x28\xB5\x2F\xFD\0"] = "zstd",
    [gzip(B):sub(1, -9)] = "too early", [gzip(B):sub(1, 20) .. ("x"):rep(20)] = "damaged",
  } do
    local ok, err = pcall(read, text)
    assert.is_false(ok)
    assert.matches(what, err.message)
  end
end)

it("an alias bomb and deep nesting end as errors", function()
  local bomb = { "a0: &a0 [x, x, x, x, x, x, x, x, x, x]" }
  for at = 1, 30 do
    bomb[#bomb + 1] = ("a%d: &a%d [%s]"):format(at, at, ("*a%d, "):format(at - 1):rep(9)
      .. ("*a%d"):format(at - 1))
  end
  for _, text in ipairs{ table.concat(bomb, "\n"), ("["):rep(100000), "a: " .. ("["):rep(100000),
    '["' .. ("x"):rep(2 << 20) .. '"]' } do
    local ok, err = pcall(read, text)
    assert.is_false(ok)
    assert.matches("too large", (err.message:gsub("more than 64 levels of nesting", "too large")
      :gsub("longer than 1024 KiB", "too large"):gsub("longer than 65536 bytes", "too large")))
  end
end)

-- --- what changes a little ---

local seeds = {
  B .. "\n" .. S .. "\n10.1.2.3:8080:bob:s3c\nbob:s3c@10.1.2.4:80\n10.1.2.5 8080 a b\n",
  "host,port,username,password\r\n10.1.2.3,8080,bob,s3c\r\n10.1.2.4,8080,\"a,b\",c\r\n",
  '[\n{"host":"10.1.2.3","port":8080,"username":"bob","password":"s3c"},\n'
    .. '{"host":"10.1.2.4","port":8080}\n]\n',
  "proxies:\n- {type: http, server: 10.1.2.3, port: 8080}\n- type: socks5\n  server: 10.1.2.4\n"
    .. "  port: 1\n",
  "[ProxyList]\nsocks5 10.1.2.3 1080 bob s3c\nhttp 10.1.2.4 8080\n",
  "cache_peer 10.1.2.3 parent 8080 0 login=bob:s3c\ncache_peer 10.1.2.4 parent 8080 0 tls\n",
  'proxy = "http://10.1.2.3:8080"\nproxy-user = "bob:s3c"\nnext\nproxy = "http://10.1.2.4:80"\n',
  "parent 1000 http 10.1.2.3 8080 \"bob\" \"s3c\"\nparent 1000 socks5 10.1.2.4 8080\n",
  gzip(B), utf16(B), "aHR0cDovL2JvYjpzM2NAMTAuMS4yLjM6ODA4MAo=",
}

local function mutate(text)
  local at = math.random(#text)
  local kind = math.random(5)
  if kind == 1 then
    return text:sub(1, at - 1) .. string.char(math.random(0, 255)) .. text:sub(at + 1)
  elseif kind == 2 then return text:sub(1, at - 1) .. text:sub(at + math.random(4))
  elseif kind == 3 then return text:sub(1, at)
  elseif kind == 4 then return text:sub(1, at) .. text:sub(math.random(#text))
  end
  local letters = ":@,\"'{}[]#\n\r\t \\/"
  local which = math.random(#letters)
  return text:sub(1, at - 1) .. letters:sub(which, which) .. text:sub(at)
end

it("any change of a list is read or reported, and never an internal error", function()
  local seed = tonumber(os.getenv("LISTS_SEED")) or 5
  math.randomseed(seed)
  for round = 1, tonumber(os.getenv("LISTS_ROUNDS")) or 3000 do
    local text = seeds[math.random(#seeds)]
    for _ = 1, math.random(3) do text = #text > 0 and mutate(text) or text end
    local ok, err = pcall(read, text, math.random(1, 64))
    assert.is_true(ok or core.error.is(err) and err.kind == "usage",
      ("seed %d, round %d: %q: %s"):format(seed, round, text, tostring(err)))
  end
end)

it("each line of a text is a proxy, a report or a skipped entry", function()
  math.randomseed(9)
  local pieces = { "10.1.2.3:8080", "10.1.2.4:80:a:b", B, S, "x", "404: Not Found", "vmess://x",
    "a b c", "10.1.2.3", "10.1.2.3:99999", "socks5 10.1.2.3 1080", "\xFF\xFE", "{}", "a: b" }
  for _ = 1, 500 do
    local lines = { B }
    for at = 2, math.random(2, 12) do lines[at] = pieces[math.random(#pieces)] end
    local urls, skipped, bad = read(table.concat(lines, "\n"))
    assert.equal(#lines, #urls + #skipped + #bad, table.concat(lines, "\n"))
  end
end)

-- What takes a step for each pair of bytes takes a thousand times longer for a line that is a
-- thousand times longer; the bounds between the two leave room for a busy machine.
it("takes a time in proportion to the length of a line", function()
  local letters = { "@", ":", " ", "#", ",", "a", "1.", "%", '"', "[", "/", "a:", "-", "=",
    "\\", "'\\'", "|", "+-", "= ", "](", "a=" }
  for _, letter in ipairs(letters) do
    local function time(size)
      local line = (letter:rep(size // #letter) .. "\n"):rep((1 << 18) // size)
      local began = os.clock()
      pcall(read, B .. "\n" .. line)
      return os.clock() - began
    end
    time(256)
    local short, long = time(256), time(1 << 16)
    assert.is_true(long < short * 30 + 0.5, ("%q: %.3f s, %.3f s"):format(letter, short, long))
  end
end)
