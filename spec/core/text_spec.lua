local text = require("proxylua.core").text

describe("the room that a text takes", function()
  it("is counted in columns of a terminal", function()
    for sample, width in pairs{ [""] = 0, ["abc"] = 3, ["züri"] = 4, ["東京"] = 4, ["e\u{301}"] = 1,
      ["a\u{1F600}"] = 3,
      ["\xFF\xC0x"] = 3, ["a\nb"] = 3, ["…"] = 1 } do
      assert.are.equal(width, text.width(sample), sample)
    end
  end)

  it("is bounded by a beginning that takes no more", function()
    assert.are.same({ "", "", "東", "東", "東京", "東京" },
      { text.prefix("東京", 0), text.prefix("東京", 1), text.prefix("東京", 2), text.prefix("東京", 3),
        text.prefix("東京", 4), text.prefix("東京", 99) })
    assert.are.equal("e\u{301}", text.prefix("e\u{301}x", 1))
    assert.are.equal("", text.prefix("abc", -1))
    assert.are.equal("\u{301}", text.prefix("\u{301}abc", 0))
  end)

  it("does not depend on the locale, and any bytes have one", function()
    for _ = 1, 200 do
      local bytes = {}
      for at = 1, math.random(0, 12) do bytes[at] = math.random(0, 255) end
      local sample = string.char(table.unpack(bytes))
      local width = text.width(sample)
      for columns = 0, #sample do
        assert.is_true(text.width(text.prefix(sample, columns)) <= columns)
      end
      assert.are.equal(sample, text.prefix(sample, width))
    end
  end)
end)
