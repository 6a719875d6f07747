-- lua/proxylua/status and `proxylua status`: the account on one screen, and what a look costs.

local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local sandbox, home

setup(function() sandbox = sandboxes.start() end)
teardown(function() sandbox:stop() end)
before_each(function()
  sandbox:change("reset")
  home = program.folder()
end)
after_each(function() program.remove(home) end)

local function faults(...)
  sandbox:change("settings", { faults = core.json.array{ ... } })
end

local function eval(code) return sandbox:eval(code, { home = home }) end

local function status(...)
  local result = sandbox:run({ "status", ... }, { home = home })
  assert.equal(0, result.code, result.err)
  return result.out
end

local pools = [[return {
  { name = "us", type = "isp", country = "US", quantity = 5, period = 30 },
  { name = "de", type = "isp", country = "DE", quantity = 2, period = 30 },
}]]

local buy_some = [[
  px.fleet.apply({ { name = "us", type = "isp", country = "US", quantity = 3, period = 30 } })
  px.orders.create{ type = "mobile", country = "FR", quantity = 1, period = 1 }
]]

describe("a status", function()
  it("has the orders, the first to expire first, the pools and what was spent", function()
    local path = program.write(home .. "/fleet.lua", pools)
    local found = eval(buy_some .. ("return px.status{ pools = %q }"):format(path))
    assert.equal(2, found.orders.active)
    assert.equal(1, found.orders.day)
    assert.equal("mobile", found.next[1].type)
    assert.equal("us", found.next[2].pool)
    assert.are.same({ { name = "de", orders = 0, have = 0, wanted = 2, missing = 2 },
      { name = "us", orders = 1, have = 3, wanted = 5, missing = 2 } }, found.pools)
    local account = eval "return px.account.get()"
    assert.equal(tostring(account.balance), tostring(found.balance))
    assert.equal(tostring(core.money(1000) - found.balance), tostring(found.spent_today))
    assert.are.same({}, found.charges)
  end)

  it("shows the same as text, as JSON and as a page", function()
    eval(buy_some)
    local text = status("--pools", program.write(home .. "/fleet.lua", pools))
    assert.has.match("\norders    2 active, 1 to expire by tomorrow, 1 within 7 days\n", text)
    assert.has.match("\npools     de: 0 of 2, 2 missing in 0 orders\n", text)
    assert.has.match("\n          us: 3 of 5, 2 missing in 1 order\n", text)
    assert.has.match("\ncharges   none open\n", text)
    local result = sandbox:run({ "--json", "status" }, { home = home })
    assert.equal(2, core.json.decode(result.out).orders.active)
    assert.equal("", status("--html", home .. "/status.html"))
    local page = program.read(home .. "/status.html")
    assert.has.match("<th scope=\"row\">us</th><td>3</td>", page)
    assert.is_nil(page:find("http-equiv=\"refresh\"", 1, true))
  end)

  it("lists an open charge and does not settle it", function()
    faults("orders.create:cut=after,count=1", "orders.list:status=502,skip=1",
      "account.transactions:status=502,skip=1", "account.get:status=502,skip=2")
    eval[[
      pcall(px.orders.create, { type = "isp", quantity = 1, period = 30, key = "x" })
    ]]
    faults()
    for _ = 1, 2 do assert.has.match("\ncharges   x unknown, since ", status()) end
  end)

  it("names the proxies whose last check failed", function()
    eval[[
      local proxies = { "http://127.0.0.1:9", px.proxies.parse("http://127.0.0.1:9") }
      px.check.run({ proxies[2] }, { timeout = 2 })
    ]]
    local text = status()
    assert.has.match("\nchecks    1 of 1 proxy failed the last check", text)
    assert.has.match("\n          127%.0%.0%.1:9  ", text)
  end)
end)

describe("a watcher", function()
  it("takes at most two requests a look after the first one", function()
    local counts = eval(([[
      for at = 1, 120 do
        px.orders.create{ type = "isp", country = "US", quantity = 1, period = 30, key = "o" .. at }
      end
      local watcher, list = require("proxylua.status").open(), {}
      local function ask(method, name)
        return px.http[method](%q .. "/" .. name, { headers = { ["X-Sandbox-Key"] = %q },
          json = method == "post" and { amount = "5.00" } or nil }):json()
      end
      local function requests()
        local sum = 0
        for _, count in pairs(ask("get", "counters").requests) do sum = sum + count end
        return sum
      end
      for at = 1, 5 do
        local before = requests()
        list[at] = { watcher:look().orders.active, requests() - before }
        if at == 1 then ask("post", "deposit") end -- the balance changes: the list is read anew
      end
      return list
    ]]):format(sandbox.admin_url, sandbox.key))
    assert.are.same({ 120, 2 }, counts[2])
    for at = 1, 5 do assert.equal(120, counts[at][1]) end
    for at = 3, 5 do assert.is_true(counts[at][2] <= 2, counts[at][2]) end
    assert.equal(1, counts[5][2])
  end)
end)
