local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local top = core.system.real_path(".")

local function path_of(name)
  return ("%s/scripts/%s.lua"):format(top, name)
end

local names = {}
for path in io.popen("ls scripts/*.lua"):lines() do
  names[#names + 1] = path:match("([^/]+)%.lua$")
end

-- For those that would otherwise go on for long.
local arguments = { watch = { "10", "3d", "0.001", "3" } }

describe("a script of scripts/", function()
  it("is one of at least six", function()
    assert.is_true(#names >= 6)
  end)

  for _, name in ipairs(names) do
    it("has at most 40 lines: " .. name, function()
      local _, lines = program.read(path_of(name)):gsub("\n", "\n")
      assert.is_true(lines <= 40)
    end)

    it("runs in a fresh sandbox: " .. name, function()
      local words = { "--sandbox", "--spend", "50", path_of(name) }
      table.move(arguments[name] or {}, 1, 9, #words + 1, words)
      local result = program.run(words)
      assert.are.same({ 0, "" }, { result.code, result.err })
    end)
  end
end)

describe("the script", function()
  local sandbox

  -- Runs one and returns its standard output.
  local function run(name, ...)
    local result = sandbox:run({ path_of(name), ... })
    assert.are.equal(0, result.code, result.err)
    return result.out
  end

  -- Places orders, from a list of their parameters.
  local function place(...)
    return sandbox:eval(([[
      local ids = {}
      for index, params in ipairs(px.json.decode(%q)) do ids[index] = px.orders.create(params).id end
      return ids
    ]]):format(core.json.encode{ ... }))
  end

  -- A store of its own for each: it remembers orders, and a reset would use their ids again.
  before_each(function() sandbox = sandboxes.start() end)
  after_each(function() sandbox:stop() end)

  it("quickstart shows account, quote, order and proxies, and uses each of them", function()
    local result = program.run{ "--sandbox", "--spend", "25", path_of("quickstart") }
    assert.has.match("account   %S+@%S+, balance 1000%.00\n", result.out)
    assert.has.match("quote     3 isp proxies in US for 30 days: 7%.20\n", result.out)
    assert.has.match("order     ord_%w+, active until %S+, price 7%.20\n", result.out)
    local shown, seen, exits = {}, {}, {}
    for port in result.out:gmatch("127%.0%.0%.1 +(%d+) +%S+ +%S+\n") do shown[#shown + 1] = port end
    for port, exit in result.out:gmatch("127%.0%.0%.1:(%d+) +200 +(%S+)\n") do
      seen[#seen + 1] = port
      exits[exit] = true
    end
    assert.are.equal(3, #shown)
    assert.are.same(shown, seen)
    assert.is_nil(exits["127.0.0.1"])
    for index = 1, 3 do assert.is_true(exits["127.1.0." .. index]) end
  end)

  it("restock buys what is missing, once a week", function()
    assert.has.match("^0 of 4 isp proxies in US: bought 4 for 9%.60",
      run("restock", "isp", "US", "4"))
    assert.has.match("^4 of 4 isp proxies in US: nothing to buy", run("restock", "isp", "US", "4"))
    local result = sandbox:run{ path_of("restock"), "isp", "US", "6" }
    assert.are.equal(3, result.code)
    assert.has.match("key_reused", result.err)
    assert.are.equal(1, sandbox:look("counters").sold)
  end)

  it("renew extends what ends soon, and nothing twice", function()
    local ids = place({ type = "isp", quantity = 1, period = 1 },
      { type = "isp", quantity = 1, period = 30 })
    local out = run("renew", "3d", "7")
    assert.has.match("^" .. ids[1] .. "  until %S+  0%.56\n1 orders extended for 0%.56, balance ",
      out)
    assert.has.match("^0 orders extended", run("renew", "3d", "7"))
    assert.are.equal(1, sandbox:look("counters").extended)
  end)

  it("fleet brings about what its file says, and nothing twice", function()
    local out = run("fleet")
    assert.has.match("^us%-isp: 0 of 10 there, 2 to do for 24%.00\n", out)
    assert.has.match("buy ord_%w+ for us%-isp: 12%.00\n", out)
    assert.has.match("\n29%.16 spent, balance 970%.84\n$", out)
    assert.has.match("us%-isp: 10 of 10 there, 0 to do for 0%.00\n.*\n0%.00 spent, ", run("fleet"))
    assert.are.equal(4, sandbox:look("counters").sold)
  end)

  it("check prints the proxies that do not work", function()
    place{ type = "isp", quantity = 20, period = 1 }
    assert.are.equal("20 of 20 work\n", run("check", "10s", sandbox.trace_url))
    sandbox:change("settings", { faults = { "forward:status=403,count=1" } })
    local out = run("check", "10s", sandbox.trace_url)
    assert.has.match("^127%.0%.0%.1:%d+  status 403\n19 of 20 work\n$", out)
  end)

  it("export writes the proxies of all active orders to one file", function()
    place({ type = "isp", quantity = 3, period = 1 }, { type = "ipv6", quantity = 2, period = 1 })
    local path = sandbox.home .. "/exported"
    assert.are.equal(("5 proxies in %s\n"):format(path), run("export", "txt", path))
    assert.are.equal(5, select(2, program.read(path):gsub("\n", "")))
    local result = sandbox:run{ path_of("export"), "pac", path }
    assert.has.match("cannot be written as pac: PAC files hold no credentials", result.err)
    assert.are.equal(5, select(2, program.read(path):gsub("\n", "")))
  end)

  it("watch reports each problem once", function()
    local id = place{ type = "isp", quantity = 1, period = 1 }[1]
    local out = run("watch", "5000", "3d", "0.001", "3", sandbox.trace_url)
    assert.has.match("^%S+\tthe balance is 999%.92, below 5000%.00\n%S+\torder " .. id
      .. " %(1 isp%) expires in [^\n]+\n$", out)
    assert.are.equal("", run("watch", "5000", "3d", "0.001", "1", sandbox.trace_url))
  end)

  it("deposit shows address and code, and waits for the money", function()
    local result = program.run{ "--sandbox", path_of("deposit"), "USDT", "ERC20" }
    assert.has.match(
      "\nUSDT\tERC20\tsandbox%-usdt%-%w+\n! send USDT on ERC20 only: [^\n]+\n25%.00 came in, "
      .. "the balance is 1025%.00\n$", result.out)
    assert.has.match("█", result.out)
  end)

  it("prices shows every type in every country", function()
    local out = run("prices", "US", "DE")
    assert.has.match("^10 for 30 days +US +DE\n", out)
    assert.has.match("\nisp +24%.00 +25%.20\n", out)
    assert.are.equal(6, select(2, out:gsub("\n", "")))
  end)

  it("report sums up charges less refunds by pool, and prints the burn rate", function()
    local ids = place({ type = "isp", quantity = 1, period = 30 },
      { type = "isp", quantity = 2, period = 30 })
    sandbox:change("cancel", { id = ids[2] })
    local out = run("report", "7")
    assert.has.match("^%S+ to %S+: 2%.40 spent, 7%.20 charged and 4%.80 refunded\nno "
      .. "pool\t2%.40\n2%.40 a day", out)
  end)

  it("errors distinguishes every kind of failure", function()
    local out = run("errors")
    local kinds = {}
    for kind in out:gmatch("(%S+), charge none") do kinds[#kinds + 1] = kind end
    assert.are.same({ "usage", "spend_refused", "spend_refused", "invalid", "key_reused" }, kinds)
    assert.are.equal(1, sandbox:look("counters").sold)
  end)
end)
