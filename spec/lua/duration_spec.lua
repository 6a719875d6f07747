local duration = require "proxylua.util.duration"
local px = require "proxylua"

describe("a duration", function()
  it("is read from what people write", function()
    for text, seconds in pairs{ ["90s"] = 90, ["5m"] = 300, ["12h"] = 43200, ["3d"] = 259200,
      ["2w"] = 1209600,
      ["1d12h"] = 129600, ["1.5h"] = 5400, ["45"] = 45, ["0s"] = 0 } do
      assert.are.equal(seconds, duration.seconds(text, "--within"), text)
    end
    assert.are.equal("integer", math.type(duration.seconds("1.5h", "--within")))
    assert.are.equal(2.5, duration.seconds(2.5, "timeout"))
  end)

  it("is refused where it is none, with the name of what it is for", function()
    for _, value in ipairs{ "", "d", "3 d", "3x", "-5m", "5m-", "inf", "nan", -1, 1 / 0, 0 / 0,
      true, "1e400" } do
      local _, err = px.try(duration.seconds, value, "--within")
      assert.are.equal("usage", err and err.kind, tostring(value))
      assert.matches("^%-%-within takes a duration", err.message)
    end
  end)

  it("is told in its two largest units", function()
    for seconds, text in pairs{ [0] = "0s", [0.6] = "1s", [59] = "59s", [125] = "2m 5s",
      [3600] = "1h",
      [3605] = "1h", [100000] = "1d 3h", [259200] = "3d" } do
      assert.are.equal(text, duration.text(seconds))
    end
  end)
end)
