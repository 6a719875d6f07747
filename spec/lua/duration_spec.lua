local duration = require "proxylua.util.duration"
local px = require "proxylua"

describe("a duration", function()
  it("is read from what people write", function()
    for text, seconds in pairs{ ["90s"] = 90, ["5m"] = 300, ["12h"] = 43200, ["3d"] = 259200,
      ["2w"] = 1209600,
      ["1d12h"] = 129600, ["1.5h"] = 5400, ["500ms"] = 0.5, ["0s"] = 0, ["0"] = 0 } do
      assert.are.equal(seconds, duration.seconds(text, "--within"), text)
    end
    assert.are.equal("integer", math.type(duration.seconds("1.5h", "--within")))
    assert.are.equal(2.5, duration.seconds(2.5, "timeout"))
  end)

  it("is refused when invalid, with the name of its option", function()
    for _, value in ipairs{ "", "d", "3 d", "3x", "-5m", "5m-", "inf", "nan", -1, 1 / 0, 0 / 0,
      true, "1e400" } do
      local _, err = px.try(duration.seconds, value, "--within")
      assert.are.equal("usage", err and err.kind, tostring(value))
      assert.matches("^%-%-within must be a duration", err.message)
    end
  end)

  it("is refused without a unit, with what to write instead", function()
    for _, text in ipairs{ "3", "45", "0.5", "1d12" } do
      local _, err = px.try(duration.seconds, text, "--within")
      assert.are.equal("usage", err and err.kind, text)
    end
    assert.are.equal("--within must be a duration with a unit, such as 3s (seconds) or 3d (days), "
      .. "got 3", select(2, px.try(duration.seconds, "3", "--within")).message)
  end)

  it("is accepted by every function that takes a time", function()
    local function waits(fn, ...)
      assert.is_true((px.try(fn, ...)))
    end
    waits(function() px.sleep("1ms") return true end)
    waits(function() return px.timeout("1m", function() return true end) end)
    waits(function() px.every("1ms", function() return false end):join() return true end)
    for text, call in pairs{
      ["px.sleep"] = function() px.sleep("1") end,
      ["px.timeout"] = function() px.timeout("1", print) end,
      ["px.every"] = function() px.every("1", print) end,
      ["px.http.get: timeout"] = function()
        px.http.get("http://127.0.0.1:1/", { timeout = "1" })
      end,
      ["orders%.list: max_wait"] = function() px.orders.list{ max_wait = "1" } end,
      ["px%.orders%.wait: timeout"] = function() px.orders.wait("ord_1", { timeout = "1" }) end,
      ["px%.notify: timeout"] = function()
        px.notify{ text = "x", url = "http://127.0.0.1:1/", timeout = "1" }
      end,
      ["px%.check%.run: timeout"] = function() px.check.run({}, { timeout = "1" }) end,
      ["px%.renew: within"] = function() px.renew{ within = "1" } end,
      ["px%.alerts: within"] = function() px.alerts{ within = "1" } end,
    } do
      local _, err = px.try(call)
      assert.are.equal("usage", err and err.kind, text)
      assert.matches(text, err.message)
      assert.matches("unit", err.message)
    end
    local _, err = px.try(px.http.get, "http://127.0.0.1:1/", { timeout = "5s" })
    assert.are.equal("network", err.kind)
  end)

  it("is what px.duration returns in seconds", function()
    assert.are.equal(259200, px.duration("3d"))
    assert.are.equal(5, px.duration(5))
    for _, value in ipairs{ "3", "", "soon", -1, 0 / 0, 1 / 0, {}, true } do
      local _, err = px.try(px.duration, value)
      assert.are.equal("usage", err and err.kind, tostring(value))
      assert.matches("^px%.duration: the value must be a duration", err.message)
    end
    assert.are.equal("usage", select(2, px.try(px.duration)).kind)
  end)

  it("is printed in its two largest units", function()
    for seconds, text in pairs{ [0] = "0s", [0.6] = "1s", [59] = "59s", [125] = "2m 5s",
      [3600] = "1h",
      [3605] = "1h", [100000] = "1d 3h", [259200] = "3d" } do
      assert.are.equal(text, duration.text(seconds))
    end
  end)
end)
