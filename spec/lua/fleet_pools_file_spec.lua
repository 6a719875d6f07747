-- lua/proxylua/fleet/pools_file.lua: the desired state, read as data; every mistake names file,
-- pool and field.

local core = require "proxylua.core"
local file = require "proxylua.fleet.pools_file"
local program = require "spec.support.program"
local px = require "proxylua"

local DAY = 86400

local function pool(more)
  local out = { name = "us", type = "isp", quantity = 3, period = 30 }
  for name, value in pairs(more or {}) do out[name] = value ~= "nil" and value or nil end
  return out
end

local function refused(pools, pattern)
  local _, err = px.try(file.check, pools, "fleet.lua")
  assert.is_table(err, pattern)
  assert.equal("config", err.kind)
  assert.matches("^fleet%.lua: ", err.message)
  assert.matches(pattern, err.message, 1, true)
end

describe("a desired state", function()
  it("is a list of pools, with amounts as money and durations in seconds", function()
    local pools = file.parse([[
      local days = 30
      return {
        { name = "us-isp.1", type = "isp", country = "US", quantity = 10, period = days,
          renew_before = "2d",
          max_unit_price = "3.10", max_total = 40, batch = 5 },
        { name = "gb", type = "residential", quantity = 2 },
      }]], "fleet.lua")
    assert.equal(2, #pools)
    assert.same({ 2 * DAY, 5, 10 }, { pools[1].renew_before, pools[1].batch, pools[1].quantity })
    assert.is_true(pools[1].max_unit_price == core.money("3.10") and pools[1].max_total
      == core.money(40))
    assert.is_nil(pools[2].renew_before)
    assert.same({}, file.check({}, "x"))
  end)

  it("extends three days before the end by default, or half a period", function()
    for period, seconds in pairs{ [30] = 3 * DAY, [7] = 3 * DAY, [4] = 2 * DAY, [1] = DAY // 2 } do
      assert.equal(seconds, file.check({ pool{ period = period } }, "x")[1].renew_before)
    end
    assert.equal(0, file.check({ pool{ renew_before = "0s" } }, "x")[1].renew_before)
  end)

  it("comes out of its own check as it went in", function()
    local pools = file.check({ pool{ max_total = "9.30", country = "DE" } }, "x")
    assert.same(pools, file.check(core.json.decode(core.json.encode(pools)), "x", true))
  end)

  it("is refused when invalid, with file, pool and field", function()
    refused("x", "expected a list of pools, got a string")
    refused({ us = pool() }, "got a table with the key us")
    refused({ 1 }, "pool 1 must be a table, got a number")
    refused({ pool{ name = "nil" } }, "pool 1: the field name is missing")
    for _, name in ipairs{ "a/b", "", "-x", "a b", ("x"):rep(65), 7, "ü" } do
      refused({ pool{ name = name } }, "pool 1: name must be a name of letters")
    end
    refused({ pool(), pool() }, "the name us is used twice, by pool 1 and pool 2")
    refused({ pool{ type = "nil" } }, "pool us: the field type is missing")
    refused({ pool{ type = "isp proxy" } }, "pool us: type must be a type of proxy")
    refused({ pool{ quantity = "nil" } }, "pool us: the field quantity is missing")
    for _, quantity in ipairs{ -1, 1.5, "3", 1e9, true, 0 / 0 } do
      refused({ pool{ quantity = quantity } },
        "pool us: quantity must be a whole number from 0 to 1000000")
    end
    refused({ pool{ period = 0 } }, "pool us: period must be a whole number from 1")
    refused({ pool{ period = "nil" } }, "pool us: the field period is missing")
    refused({ pool{ country = "us" } }, "pool us: country must be a country code of two capital "
      .. "letters")
    refused({ pool{ batch = 0 } }, "pool us: batch must be a whole number from 1")
    refused({ pool{ max_total = -1 } }, "pool us: max_total must be an amount")
    refused({ pool{ max_unit_price = "a lot" } },
      "max_unit_price must be an amount such as 25 or \"9.30\", got \"a lot\"")
    refused({ pool{ quantity = "3" } }, "quantity must be a whole number from 0 to 1000000, got "
      .. "\"3\"")
    refused({ pool{ renew_before = "3 days" } }, "pool us: renew_before must be a duration")
    for _, value in ipairs{ 3, "3", 0.5 } do
      refused({ pool{ renew_before = value } },
        ('pool us: renew_before must be a duration with a unit, such as "%ss" (seconds) or "%sd"')
          :format(value, value))
    end
    refused({ pool{ renew_before = "30d" } },
      "pool us: renew_before (30d) must be shorter than the period of 30 days")
    refused({ pool{ type = "ipv6", period = "nil", renew_before = "3d" } },
      "pool us: renew_before needs the field period")
    refused({ pool{ quantiti = 3 } },
      "pool us: unknown field quantiti, did you mean quantity?")
  end)

  it("is data: it has nothing to call, and is bounded", function()
    for text, pattern in pairs{
      ["return os.getenv('HOME')"] = "no functions and no globals",
      ["while true do end"] = "computes for too long",
      ["return {"] = "fleet.lua:1:",
      ["return { { name = print } }"] = "the field name is missing",
    } do
      local _, err = px.try(file.parse, text, "fleet.lua")
      assert.equal("config", err and err.kind, text)
      assert.matches(pattern, err.message, 1, true)
    end
    local _, err = px.try(file.text, "/nowhere/fleet.lua")
    assert.matches("^/nowhere/fleet.lua: cannot be read: No such file", err.message)
  end)

  it("is refused by the command with 2, before anything is asked", function()
    local result = program.run({ "fleet", "plan", "-" }, { stdin = "return { {} }", env = {
      PROXYLUA_API_KEY = "k", PROXYLUA_BASE_URL = "http://127.0.0.1:1" } })
    assert.equal(2, result.code)
    assert.equal("proxylua: -: pool 1: the field name is missing\n", result.err)
  end)
end)
