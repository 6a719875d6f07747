-- `proxylua gateway`: where its list comes from, and how that is kept.

local core = require "proxylua.core"
local gateways = require "spec.support.gateways"
local program = require "spec.support.program"

local function run(...)
  return program.run({ "gateway", ... }, { env = { PROXYLUA_API_KEY = "sk_test" } })
end

describe("gateway", function()
  it("refuses words that do not fit together, with exit code 2", function()
    local file = program.write(program.folder() .. "/proxies", "http://127.0.0.1:1\n")
    for _, words in ipairs{ { "--order", "a", "--from", file }, { "--pool", "a", "--from", file },
      { "--from", file, "--country", "US" }, { "--country", "Germany" },
      { "--from", file, "--listen", "here" }, { "--from", file, "--allow", "a b" },
      { "--from", file, "--refresh-budget", "0" }, { "--from", file, "--quarantine", "5" },
      { "--from", file, "--listen", "127.0.0.1:0", "--metrics", "192.0.2.1:1" } } do
      local result = run(table.unpack(words))
      assert.equal(2, result.code, table.concat(words, " ") .. result.err)
    end
  end)

  it("listens on other addresses only with users, whose file is private", function()
    local folder = program.folder()
    local file = program.write(folder .. "/proxies", "http://127.0.0.1:1\n")
    local result = run("--from", file, "--listen", "0.0.0.0:0")
    assert.equal(2, result.code)
    assert.has.match("without credentials", result.err, 1, true)
    local users = program.write(folder .. "/users", "me:pw\n")
    assert(os.execute("chmod 644 " .. users))
    assert.has.match("chmod 600", run("--from", file, "--users", users).err, 1, true)
  end)

  it("reports a port that is taken, and a list without proxies", function()
    local g = gateways.start{ "http://127.0.0.1:1" }
    local result = run("--from", g.file, "--listen", "127.0.0.1:" .. g.port)
    assert.has.match("cannot listen on 127.0.0.1:" .. g.port, result.err, 1, true)
    g:stop()
  end)

  it("reads a file again when it changes, and keeps the list when that is not valid", function()
    local g = gateways.start{ "http://127.0.0.1:1" }
    program.write(g.file, "http://127.0.0.1:1\nsocks5://me:secret@127.0.0.1:2\n")
    local stats = g:await(function(now) return #now.proxies == 2 end)
    assert.equal("socks5://me@127.0.0.1:2", stats.proxies[2].proxy)
    program.write(g.file, "not a proxy at all\n")
    while not g:errors():find("stays as it was", 1, true) do core.task.sleep(0.01) end
    assert.equal(2, #g:stats().proxies)
    program.write(g.file, "http://127.0.0.1:3\n")
    g:await(function(now) return #now.proxies == 1 end)
    g:stop()
  end)

  it("prints the counters of one that runs, without passwords", function()
    local g = gateways.start{ "http://me:secret@127.0.0.1:1" }
    local result = run("stats", "--metrics", g.metrics:match("//(.*)"))
    assert.equal(0, result.code, result.err)
    assert.has.match("http://me@127.0.0.1:1\t", result.out, 1, true)
    assert.is_nil(result.out:find("secret", 1, true))
    local metrics = core.http.get(g.metrics .. "/metrics", { proxy = "" })
    assert.has.match("\nproxylua_proxy_requests_total{proxy=\"http://me@127.0.0.1:1\"} 0\n",
      metrics.body, 1, true)
    assert.equal(403, core.http.get(g.metrics .. "/metrics", { proxy = "",
      headers = { Host = "rebound.example.com" } }).status)
    g:stop()
  end)

  it("appends a JSON line for each request to the log", function()
    local log = program.folder() .. "/log"
    local g = gateways.start({ "http://me:secret@127.0.0.1:1" }, { "--log", log })
    core.http.get("http://example.com/", { proxy = g.url })
    core.http.get("http://127.0.0.1/", { proxy = g.url:gsub("//", "//who-session-a:pw@") })
    g:stop()
    local text = program.read(log)
    local first, second = text:match("^(.-)\n(.-)\n$")
    first, second = core.json.decode(first), core.json.decode(second)
    assert.same({ 502, "connection_refused", "example.com:80", "http" }, { first.status,
      first.error, first.target, first.protocol })
    assert.same({ 403, "who-session-a" }, { second.status, second.user })
    assert.is_nil(text:find("secret", 1, true))
    assert.is_nil(text:find('"pw"', 1, true))
  end)
end)

describe("the list of a gateway", function()
  -- The API's functions need the settings of a run, so this is a run of its own.
  local script = [[
    local px = require "proxylua"
    local follow = require "proxylua.gateway.follow"
    local notes, requests = {}, 0
    local function follower(source, budget)
      return follow.open(source, { interval = 0, budget = budget, note = function(...)
        notes[#notes + 1] = string.format(...)
      end, problem = error, owners = px.fleet.owners })
    end
    local function buy(country, quantity)
      return px.orders.create{ type = "isp", quantity = quantity, country = country, period = 30 }
    end
    local first = buy("US", 2)
    local all, german = follower({}, 3), follower({ country = "DE" }, 100)
    print("first", #all:first(), #german:first())
    buy("DE", 1)
    print("new", #all:again(), #german:again())   -- 2 of 3 requests
    buy("DE", 4)
    print("over", #all:again(), #german:again())  -- lists, and has none left for the proxies
    print("spent", all:again(), #german:again())
    all.entries[first.id].ends = px.time() - 3600
    print("ended", #all:again())
    print("one", #follower({ orders = { first.id } }, 9):first())
  ]]

  it("follows orders within its budget, and drops those that have ended", function()
    local result = program.run({ "--sandbox", "--spend", "100", "-e", script })
    assert.equal(0, result.code, result.err)
    assert.equal("first\t2\t0\nnew\t3\t1\nover\t3\t5\nspent\tnil\t5\nended\t1\none\t2\n",
      result.out)
  end)
end)
