-- The local clock and the API's differ by more than a day: nothing is bought, and nothing that is
-- due is skipped in silence.

local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"

local DAY = 86400
local TIME = "%d+%-%d+%-%d+ %d+:%d+:%d+ UTC"
local WARNING = ("the local clock %%(%s%%) and the API's %%(%s%%) differ by more than 24 hours")
  :format(TIME, TIME)

local function iso(time) return os.date("!%Y-%m-%dT%H:%M:%SZ", time) end

describe("With the API's clock wrong by", function()
  local server, home
  before_each(function() home = program.folder() end)
  after_each(function()
    server:stop()
    program.remove(home)
  end)

  -- An account with one order that ends tomorrow, at a server whose Date is off by `seconds`.
  local function start(seconds)
    local now = os.time()
    local date = ("Date: %s\r\n"):format(os.date("!%a, %d %b %Y %H:%M:%S GMT", now + seconds))
    local order = ('{"id":"ord_1","type":"isp","quantity":1,"period":30,"country":"US",'
      .. '"status":"active","price":"2.40","created_at":"%s","expires_at":"%s"}'):format(
      iso(now - 29 * DAY), iso(now + DAY))
    local function ok(data)
      return servers.ok(('{"success":true,"data":%s}'):format(data), date)
    end
    server = servers.start{
      ["/account"] = ok '{"id":"acc_1","balance":"100.00","email":"a@b.example"}',
      ["/account/transactions"] = ok "[]",
      ["/orders"] = servers.ok(('{"success":true,"data":[%s],"meta":{"page":1,"limit":100,'
        .. '"total":1}}'):format(order), date),
      ["/orders/ord_1"] = ok(order), ["/orders/ord_1/extend"] = ok(order),
      ["/orders/calc"] = ok '{"price":"2.40"}',
    }
  end

  local function run(...)
    return program.run({ ... }, { home = home, env = { PROXYLUA_BASE_URL = server.url,
      PROXYLUA_API_KEY = "sk_live_0123456789abcdef", PROXYLUA_LIMITS = "off",
      PROXYLUA_SPEND = "100", PROXYLUA_SETTLE = "0.1s" } })
  end

  local function charges()
    local count = 0
    for _, text in ipairs(server:requests()) do
      if text:find("^POST /orders ") or text:find("^POST /orders/ord_1/extend") then
        count = count + 1
      end
    end
    return count
  end

  local function warnings(text) return select(2, text:gsub(WARNING, "")) end

  for _, days in ipairs{ -10000, -400, -1.1, 1.1, 400, 10000 } do
    describe(("%g days,"):format(days), function()
      before_each(function() start(days * DAY) end)

      it("charges are refused before they are sent", function()
        for _, words in ipairs{
          { "orders", "create", "--type", "isp", "--quantity", "1", "--period", "30" },
          { "orders", "extend", "ord_1", "--period", "30" },
          { "api", "POST", "/gifts", "--max-price", "3" },
        } do
          local result = run(table.unpack(words))
          assert.equal(2, result.code, result.err)
          assert.equal(2, warnings(result.err), result.err) -- the warning, and the error
        end
        assert.equal(0, charges())
        local result = run("-e", [[local px = require "proxylua"
          local _, err = px.try(px.orders.create, { type = "isp", quantity = 1 })
          print(err.kind, err.charge)]])
        assert.equal("config\tnone\n", result.out)
      end)

      it("what only reads warns once, with --quiet too", function()
        for _, flag in ipairs{ "--json", "--quiet" } do
          local result = run(flag, "orders", "list", "--all")
          assert.same({ 0, 1 }, { result.code, warnings(result.err) }, result.err)
        end
        local result = run("-e",
          "local px = require 'proxylua' for _ = 1, 3 do px.account.get() end")
        assert.same({ 0, 1 }, { result.code, warnings(result.err) }, result.err)
        assert.equal(0, run("--dry-run", "orders", "create", "--type", "isp", "--quantity",
          "1").code)
      end)

      it("renew and alerts skip nothing that is due by the local clock", function()
        local result = run("renew", "--within", "2d")
        assert.equal(2, result.code, result.err)
        assert.matches("0 of 1 actions done", result.err, 1, true)
        assert.equal(0, charges())
        result = run("--json", "alerts", "--within", "2d")
        assert.equal(1, #core.json.decode(result.out), result.err)
      end)
    end)
  end

  it("23 hours, charges are made without a warning", function()
    for _, hours in ipairs{ -23, 23 } do
      start(hours * 3600)
      run("orders", "create", "--type", "isp", "--quantity", "1", "--period", "30")
      assert.equal(1, charges())
      assert.equal(0, warnings(run("orders", "list").err))
      server:stop()
    end
  end)
end)

describe("An emulated API's clock", function()
  it("is the only one, however far it was advanced", function()
    local result = program.run({ "--sandbox", "--spend", "100", "-e", [[
      local px = require "proxylua"
      local place = px.sandbox()
      local wanted = { type = "isp", quantity = 1, country = "US", period = 30 }
      local first = px.orders.create(wanted)
      for _ = 1, 2 do
        px.http.post(place.admin_url .. "/clock", { json = { advance = 400 * 86400 },
          headers = { ["X-Sandbox-Key"] = place.key } })
        print(px.orders.create(wanted).id ~= first.id, px.orders.get(first.id).status)
      end]] })
    assert.same({ 0, "true\texpired\ntrue\texpired\n", "" },
      { result.code, result.out, result.err })
  end)

  it("is the only one where the sandbox is a program of its own too", function()
    local sandbox = sandboxes.start()
    finally(function() sandbox:stop() end)
    sandbox:change("clock", { advance = 400 * DAY })
    local result = sandbox:run{ "orders", "create", "--type", "isp", "--quantity", "1" }
    assert.same({ 0, 1 }, { result.code, sandbox:look("counters").sold }, result.err)
    assert.is_nil(result.err:find("clock", 1, true))
  end)
end)
