local core = require "proxylua.core"
local errors = core.error

local kinds = { "usage", "cancelled", "config", "auth", "forbidden", "not_found", "invalid",
  "funds", "key_reused",
  "upstream",
                "network", "timeout", "protocol", "rate_limited", "store", "outcome_unknown",
                  "spend_refused",
                  "internal" }

describe("an error value", function()
  it("is a table with the fields of the contract", function()
    local details = { quantity = "too many" }
    local err = errors.new{ kind = "invalid", message = "no", endpoint = "orders.create",
      status = 400, code = "BAD",
                            details = details, retry_after = 1.5, charge = "made" }
    assert.are.equal("table", type(err))
    local fields = {}
    for name, value in pairs(err) do fields[name] = value end
    assert.are.same({ kind = "invalid", message = "no", endpoint = "orders.create", status = 400,
      code = "BAD",
                      details = details, retry_after = 1.5, charge = "made" }, fields)
    assert.are.equal("none", errors.new{ kind = "usage", message = "x" }.charge)
  end)

  it("is recognized among other values", function()
    assert.is_true(errors.is(errors.new{ kind = "usage", message = "x" }))
    for _, value in ipairs{ "usage: x", 1, true, {}, setmetatable({ kind = "usage" }, {}), print,
      io.stdout } do
      assert.is_false(errors.is(value))
    end
    assert.is_false(errors.is())
  end)

  it("says what happened, where, whether money moved, and what to do next, in one line", function()
    assert.are.equal(
      "funds: balance too low (orders.create, status 402, LOW). Whether money moved is not known. "
                     .. "Pay into the account (proxylua deposit), or order less.",
                     tostring(errors.new{ kind = "funds", message = "balance too low",
                       endpoint = "orders.create",
                                          status = 402, code = "LOW", charge = "unknown" }))
    assert.are.equal("funds: too low (HTTP 402): pay (orders.create, LOW). "
      .. "Pay into the account (proxylua deposit), or order less.",
      tostring(errors.new{ kind = "funds", message = "too low (HTTP 402): pay",
        endpoint = "orders.create", status = 402, code = "LOW" }))
    assert.are.equal("outcome_unknown: see the journal", tostring(errors.new{
      kind = "outcome_unknown", message = "see the journal", charge = "unknown" }))
    assert.are.equal("usage: no such thing",
      tostring(errors.new{ kind = "usage", message = "no such thing" }))
    assert.are.equal("protocol: cut off. Money has moved: the account was charged.",
                     tostring(errors.new{ kind = "protocol", message = "cut off.",
                       charge = "made" }))
    assert.are.equal("rate_limited: slow down. Try again in 31 s.",
                     tostring(errors.new{ kind = "rate_limited", message = "slow down",
                       retry_after = 30.2 }))
    assert.are.equal("not_found: no such file",
      tostring(errors.new{ kind = "not_found", message = "no such file" }))
    for _, kind in ipairs(kinds) do
      local text = tostring(errors.new{ kind = kind, message = "m", status = 500 })
      assert.are.equal(kind .. ": m (status 500)", text:sub(1, #kind + 16))
      assert.is_nil(text:find("\n", 1, true))
      assert.is_nil(text:find("traceback", 1, true))
    end
  end)

  it("prints after any change by a script", function()
    for _, name in ipairs{ "kind", "message", "endpoint", "status", "code", "retry_after",
      "charge" } do
      for _, value in ipairs{ {}, 1e300, -1, "", "x", true, print } do
        local err = errors.new{ kind = "rate_limited", message = "m", retry_after = 3 }
        err[name] = value
        assert.are.equal("string", type(tostring(err)))
      end
      local err = errors.new{ kind = "network", message = "m" }
      err[name] = nil
      assert.are.equal("string", type(tostring(err)))
    end
  end)

  it("is not made of wrong or unknown fields", function()
    for _, fields in ipairs{ {}, { kind = "usage" }, { message = "x" },
      { kind = "fundz", message = "x" },
                             { kind = "none", message = "x" }, { kind = 1, message = "x" },
                               { kind = "usage",
                               message = 1 },
                             { kind = "usage", message = "x", stauts = 1 },
                               { kind = "usage", message = "x", "y" } } do
      local ok, err = pcall(errors.new, fields)
      assert.is_false(ok)
      assert.are.equal("usage", errors.is(err) and err.kind)
    end
    local _, err = pcall(errors.new, { kind = "usage", message = "x", stauts = 1 })
    assert.matches("did you mean status?", err.message, 1, true)
    for _, value in ipairs{ 1, "x" } do assert.is_false(pcall(errors.new, value)) end
  end)

  it("is raised as it is, or made and raised", function()
    local err = errors.new{ kind = "store", message = "full" }
    local ok, raised = pcall(errors.raise, err)
    assert.is_false(ok)
    assert.is_true(rawequal(err, raised))
    ok, raised = pcall(errors.raise, { kind = "timeout", message = "late" })
    assert.is_false(ok)
    assert.are.equal("timeout", errors.is(raised) and raised.kind)
  end)

  it("keeps a long message whole", function()
    local message = ("long "):rep(1000)
    assert.are.equal(message, errors.new{ kind = "usage", message = message }.message)
  end)
end)
