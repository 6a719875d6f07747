-- src/base/pattern.c: linear matching agrees with string.find, and refuses what it cannot do.

local core = require "proxylua.core"

local function matches(pattern, text)
  return assert(core.pattern.compile(pattern)):matches(text)
end

describe("core.pattern", function()
  it("agrees with string.find for random patterns and texts", function()
    local items = { "a", "b", "c", ".", "%a", "%W", "[ab]", "[^a]", "[a-b]", "%." }
    local marks = { "", "", "*", "+", "-", "?" }
    local bytes = { "a", "b", "c", ".", "\n", "\0" }
    for _ = 1, 20000 do
      local parts = {}
      for at = 1, math.random(1, 6) do
        parts[at] = items[math.random(#items)] .. marks[math.random(#marks)]
      end
      local pattern = (math.random(4) == 1 and "^" or "") .. table.concat(parts)
        .. (math.random(4) == 1 and "$" or "")
      local letters = {}
      for at = 1, math.random(0, 8) do letters[at] = bytes[math.random(#bytes)] end
      local text = table.concat(letters)
      assert.are.equal(text:find(pattern) ~= nil, matches(pattern, text),
        ("%q in %q"):format(pattern, text))
    end
  end)

  it("matches in time that grows with the text alone", function()
    local text = ("a"):rep(1 << 20)
    assert.is_false(matches(("a-"):rep(25) .. "b", text))
    assert.is_false(matches(".-.-.-.-x", text))
  end)

  it("refuses captures, %b, %f, back references and unfinished classes", function()
    for pattern, why in pairs{ ["(a)"] = "captures", ["%bxy"] = "not supported",
      ["%f[a]"] = "not supported", ["%1"] = "not supported", ["[a"] = "ends within",
      ["a%"] = "ends within", [""] = "empty", [("a"):rep(64)] = "too long" } do
      local compiled, reason = core.pattern.compile(pattern)
      assert.is_nil(compiled)
      assert.matches(why, reason, 1, true)
    end
  end)
end)
