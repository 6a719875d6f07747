-- lua/proxylua/proxies: texts that are lists to a person. Each line is the proxy that a person
-- sees, or it is reported; a line that looks like a title or a heading never hides a proxy.

local proxies = require "proxylua.proxies"

-- What a text holds: URLs, the numbers of the refused lines, and what was skipped; and the reasons.
local function read(text)
  local found, why, parts = { {}, {}, {} }, {}, { text }
  for proxy in proxies.each({ read = function() return table.remove(parts) end }, {
    on_bad = function(line, reason)
      table.insert(found[2], line)
      why[#why + 1] = reason
    end,
    on_skip = function(_, what) table.insert(found[3], what) end,
  }) do
    table.insert(found[1], proxy.url)
  end
  return found, table.concat(why, "\n")
end

local A <const>, B <const> = "http://10.1.2.3:80", "http://u:p@10.1.2.4:8080"

describe("a line of two meanings is refused:", function()
  for name, line in pairs{
    ["a number that may begin the user name"] = "2,user:2:10.1.2.3:80",
    ["a password that ends with another address"] = "h.example:6@user:[2001:db8::1]:80",
    ["the same in columns"] = "10.1.2.3:7;user:[2001:db8::1]:80",
    ["columns whose password ends with a host"] = "10.1.2.3:7|x|word:h.example:6043",
    ["columns whose password has an @ and a host"] = "10.1.2.3:7|x|word@h.example:6043",
    ["columns whose password is an address"] = "10.1.2.3:4|user|:10.1.2.4:80",
    ["a remark that ends with another address"] = "user@h.example:4#word:10.1.2.3:80",
  } do
    it(name, function()
      local found = read("10.1.2.9:80\n" .. line .. "\n")
      assert.are.same({ { "http://10.1.2.9:80" }, { 2 }, {} }, found)
    end)
  end
end)

describe("a person's list is read:", function()
  for name, case in pairs{
    ["a Python list"] = { "['10.1.2.3:80', '10.1.2.4:8080:u:p']\n", { A, B } },
    ["a Python list on several lines"] = { "['10.1.2.3:80',\n '10.1.2.4:8080:u:p']\n", { A, B } },
    ["Python dictionaries"] = { "[{'ip': '10.1.2.3', 'port': 80, 'user': None, 'ok': True},\n"
      .. " {'ip': '10.1.2.4', 'port': 8080, 'user': 'u', 'password': 'p'}]\n", { A, B } },
    ["a Python string with a quote"] = { "['10.1.2.3:80', \"10.1.2.4:80:u:p'p\"]",
      { A, "http://u:p%27p@10.1.2.4:80" } },
    ["an assignment in Python"] = { "proxies = [\n"
      .. "    '10.1.2.3:80',\n    '10.1.2.4:8080:u:p',\n]\n",
      { A, B }, {}, { "title", "bracket" } },
    ["texts in a YAML list"] = {
      "proxies:\n  - \"10.1.2.3:80\"\n  - '10.1.2.4:8080:u:p'\n", { A, B } },
    ["plain texts in a YAML list"] = { "# mine\nproxies:\n- 10.1.2.3:80\n- 10.1.2.4:8080:u:p\n",
      { A, B } },
    ["a YAML list without a key"] = { "- 10.1.2.3:80\n- \"10.1.2.4:8080:u:p\"\n", { A, B } },
    ["YAML by protocol"] = { "http:\n  - 10.1.2.3:80\nsocks5:\n  - 10.1.2.4:1080\n",
      { A, "socks5://10.1.2.4:1080" } },
    ["one proxy in YAML"] = { "host: 10.1.2.4\nport: 8080\nusername: u\npassword: p\n", { B } },
    ["a table of Markdown"] = { "| IP | Port | User | Pass |\n|----|:--:|---|---|\n"
      .. "| 10.1.2.3 | 80 | | |\n| 10.1.2.4 | 8080 | u | p |\n", { A, B } },
    ["a table of a database client"] = { "+----------+------+\n| ip       | port |\n"
      .. "+----------+------+\n| 10.1.2.3 | 80   |\n+----------+------+\n", { A }, {},
      { "title" } },
    ["sections"] = {
      "HTTP:\n10.1.2.3:80\n=== SOCKS5 ===\n10.1.2.3:1080\n[socks4]\n10.1.2.4:1\n"
      .. "# HTTP proxies\n10.1.2.4:8080:u:p\n", { A, "socks5://10.1.2.3:1080",
        "socks4://10.1.2.4:1", B }, {}, { "title", "title", "title" } },
    ["spys.one"] = { "Proxy list (HTTP SSL) updated at Thu, 17 Jan 19 17:25:05 +0300\n"
      .. "Mail: list@spys.example\nIP address:Port CountryCode-Anonymity(Noa/Anm/Hia)-SSL\n\n"
      .. "10.1.2.3:80 US-N-S +\n10.1.2.3:81 DE-H -\n10.1.2.3:82 RU-A-S! +\n",
      { A, "http://10.1.2.3:81", "http://10.1.2.3:82" }, {}, { "title", "title", "title" } },
    ["a comment that says https"] = { "# socks5\n10.1.2.3:1080\n# https\n10.1.2.3:80\n",
      { "socks5://10.1.2.3:1080", A } },
    ["a title with the word proxy"] = { "My proxy list\n10.1.2.3:80\n", { A }, {}, { "title" } },
    ["a heading that comes again"] = { "ip,port\n10.1.2.3,80\nip,port\n10.1.2.3,81\n",
      { A, "http://10.1.2.3:81" }, {}, { "heading" } },
    ["a German spreadsheet"] = {
      "sep=;\r\nIP;Port;Kennwort;Benutzername\r\n10.1.2.4;8080;p;u\r\n",
      { B }, {}, { "title" } },
    ["a Russian spreadsheet"] = { "IP,Порт,Пароль,Логин\n10.1.2.4,8080,p,u\n", { B } },
    ["a Chinese spreadsheet"] = { "地址,端口,密码,用户名\n10.1.2.4,8080,p,u\n", { B } },
    ["pairs as columns"] = { "ip:port,login:password\n10.1.2.4:8080,u:p\n", { B } },
    ["blanks around the colon"] = { "10.1.2.3 : 80\n10.1.2.4: 8080:u:p\n", { A, B } },
    ["links with base64"] = {
      "socks://dXNlcjpwYXNz@10.1.2.3:1080#a\nhttp://dTpwQDEwLjEuMi40OjgwODA=\n",
      { "socks5://user:pass@10.1.2.3:1080", B } },
    ["a line of base64 for each"] = { "MTAuMS4yLjM6ODA=\nMTAuMS4yLjQ6ODA4MDp1OnA=\n", { A, B } },
    ["a mail address as the username"] = { "u@x.y:p:10.1.2.4:80\nu@x.y:p@10.1.2.4:80\n",
      { "http://u%40x.y:p@10.1.2.4:80", "http://u%40x.y:p@10.1.2.4:80" } },
    ["a curl configuration with a list of exceptions"] = {
      "proxy = 10.1.2.3:80\nnoproxy = localhost\n", { A }, {}, { "other option" } },
    ["a flag beside the credentials"] = { '[{"host":"10.1.2.4","port":8080,"auth":true,"user":"u",'
      .. '"pass":"p"}]', { B } },
    ["what scripts of browsers return"] = { "PROXY 10.1.2.3:80\nSOCKS5 10.1.2.3:1080\n",
      { A, "socks5://10.1.2.3:1080" } },
  } do
    it(name, function()
      assert.same({ case[2], case[3] or {}, case[4] or {} }, (read(case[1])))
    end)
  end
end)

describe("a person's list is reported where it is not clear:", function()
  for name, case in pairs{
    ["a heading in an unknown language"] = {
      "lamba,pin,pun\n10.1.2.4,8080,p,u\n", 1, "not an address" },
    ["an address behind a word"] = { "mine 10.1.2.3:80\n10.1.2.3:81\n", 1, "not an address" },
    ["an address beside the name of a column"] = {
      "proxy,10.1.2.3:80\n10.1.2.3:81\n", 1, "address" },
    ["a command of curl"] = { "curl --proxy http://10.1.2.3:80\n10.1.2.3:81\n", 1, "curl" },
    ["a host without a port"] = {
      "proxy.example.com user pass\n10.1.2.3:81\n", 1, "port is missing" },
    ["a username that may be base64"] = {
      "socks5://dXNlcjpwYXNz@10.1.2.3:1080\n" .. A, 1, "base64" },
    ["a backslash in quotes"] = { "'10.1.2.3:80:u:p\\\\q',\n" .. A, 1, "backslash" },
    ["what follows a value in a curl config"] = { "proxy = http://10.1.2.3:80, username=u\n"
      .. "proxy = http://10.1.2.3:80\n", 1, "follows the value" },
    ["IPv6 without brackets"] = { "2001:db8::1:8080\n" .. A, 1, "must stand in brackets" },
    ["IPv6 without brackets, with credentials"] = { "2001:db8:0:0:0:0:0:1:80:u:p\n" .. A, 1,
      "must stand in brackets" },
    ["IPv6 without brackets in a URL"] = { "http://u:p@2001:db8::1:80\n" .. A, 1, "in brackets" },
    ["a section that says https"] = { "HTTPS:\n10.1.2.3:80\n", 1, "may be the protocol" },
    ["a path behind an address in a document"] = {
      '{"http":"http://10.1.2.3:80/x","a":{"host":"x.y",\n"port":1}}', 1, "path follows" },
    ["credentials beside a list"] = {
      '{"username":"u","password":"p","proxies":["10.1.2.3:80"]}', 1,
      '"password" stands outside' },
    ["credentials beside a long list"] = { '{"username":"u","proxies":["10.1.2.3:80"'
      .. (',"10.1.2.3:80"'):rep(3000) .. '],"password":"p"}', 1, '"password" stands outside' },
    ["credentials beside a record"] = { '[{"node":{"ip":"10.1.2.3","port":80},"login":"u",\n'
      .. '"pass":"p"}]', 1, '"pass" stands outside' },
    ["a record without a port in a mapping"] = { '{"list":{"11":{"ip":"10.1.2.3","port":1},\n'
      .. '"12":{"ip":"10.1.2.4"}}}', 2, "port is missing" },
    ["another record without a port"] = {
      '{"a":{"proxy":"10.1.2.3:80"},\n"b":{"proxy":"10.1.2.4"}}',
      2, "port is missing" },
    ["a protocol as an option"] = { "socks5: 10.1.2.3:1080\nhttp: 10.1.2.3:80\n", 2, "http" },
    ["columns apart from rows"] = { '{"a":["10.1.2.3:80"],"columns":["ip","port","pass","user"],\n'
      .. '"data":[["10.1.2.3",80,"p","u"]]}', 1, "names of columns" },
    ["a variable in a document"] = { "a: [10.1.2.3:80, 'X=http://u:p@10.1.2.3:80']", 1,
      "must begin" },
    ["a date behind a password"] = { "10.1.2.3:80:u:p:20241231\n" .. A, 1, "remark" },
    ["a column that may be a password"] = { "ip,port,user,key\n10.1.2.3,80,u,p\n10.1.2.3,80,,\n",
      2, "key" },
    ["an address at each end of a line"] = { "a.v3:8@x:b.example:17\n" .. A, 1, "both are" },
    ["a blank before the colon of a login"] = { "10.1.2.3:80\nST.F7 :1k@10.1.2.4 x\n", 2, "" },
    ["the rest of a URL"] = { A .. "\nhttp:\n" .. B, 2, "" },
    ["several addresses in a text"] = {
      '{"proxies":"10.1.2.3:80\\n10.1.2.4:80","a":{"host":"x.y",\n'
      .. '"port":1}}', 1, "list of texts" },
  } do
    it(name, function()
      local found, why = read(case[1])
      assert.same({ case[2] }, found[2])
      assert.matches(case[3], why)
      assert.is_true(#found[1] > 0)
    end)
  end
end)

it("a username alone that may be base64 is written so that it is read back", function()
  local address = require "proxylua.proxies.address"
  local url = address.complete{ host = "10.1.2.3", port = 80, username = "dXNlcjpwYXNz" }.url
  assert.same({ { url }, {}, {} }, (read(url)))
end)

-- --- no line is lost ---

local titles = { "My proxy list", "HTTP proxies", "Proxy list, updated daily", "Servers of today",
  "SOCKS5", "proxy", "url type", "Host and port", "# proxy,type", "ip port", "address", "Free:" }
local pieces = { "10.1.2.3:8080", "10.1.2.4:80:a:b", B, "socks5://a:b@10.1.2.5:1080", "x",
  "404: Not Found", "vmess://x", "mine 10.1.2.3:80", "proxy,10.1.2.3:80", "PROXY 10.1.2.3:80",
  "server 10.1.2.3:80 check", "host: 10.1.2.3", "port: 80", "- 10.1.2.3:80", "[10.1.2.3]:80",
  "'10.1.2.3:80',", "]", "http:", "curl -x 10.1.2.3:80", "IP 10.1.2.3 port 80", "a,b,c" }

-- Not the heading of columns, the key of a YAML list and comments.
it("as many entries are returned, reported or skipped as there are lines", function()
  local seed = tonumber(os.getenv("LISTS_SEED")) or 3
  math.randomseed(seed)
  for round = 1, tonumber(os.getenv("LISTS_ROUNDS")) or 600 do
    local lines = {}
    for _ = 1, math.random(0, 2) do lines[#lines + 1] = titles[math.random(#titles)] end
    for _ = 1, math.random(1, 8) do lines[#lines + 1] = pieces[math.random(#pieces)] end
    local text = table.concat(lines, "\n") .. "\n"
    local ok, found = pcall(read, text)
    local is_heading = text:find("^[^\n]*ip port\n") or text:find("\nip port\n")
      or text:find("url type\n") or text:find("# proxy,type\n")
    local is_yaml = text:find(":\n%- ") or text:find("host: [^\n]*\nport: ")
    if ok and not is_heading and not is_yaml then
      local _, comments = text:gsub("#", "")
      local count = #lines - comments
      assert.equal(count, #found[1] + #found[2] + #found[3],
        ("seed %d, round %d:\n%s"):format(seed, round, text))
    elseif not ok then
      assert.equal("usage", found.kind, tostring(found))
    end
  end
end)
