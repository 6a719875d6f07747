local inspect = require "proxylua.repl.inspect"
local lexer = require "proxylua.util.lua_lexer"

local function same(text) return text end

describe("a value as text", function()
  it("reads as Lua, and gives the same value", function()
    local values = {
      { 1, 2.5, "a\nb\0c\27\"", true }, { "caf\xE9 1", "é\xC2\x9B1\u{202E}東" },
      { a = { b = { 1 } }, ["not a name"] = 2, ["end"] = 3 }, { [-1] = 0, [2] = 1 }, {},
    }
    for _, value in ipairs(values) do
      for _, width in ipairs{ 10, 80 } do
        assert.are.same(value, load("return " .. inspect.text(value, width, same))())
      end
    end
  end)

  it("is bounded in depth and length for any value", function()
    local deep, long = {}, {}
    local inner = deep
    for index = 1, 1000 do
      inner.next = {}
      inner = inner.next
      long[index] = index
    end
    assert.are.equal("{ next = { next = { next = {…} } } }", inspect.text(deep, 80, same))
    assert.truthy(inspect.text(long, 1000, same):find("… 980 more", 1, true))
    long[1] = long
    assert.truthy(inspect.text(long, 80, same):find("{…}", 1, true))
  end)

  it("has no byte that a terminal obeys", function()
    for byte = 0, 255 do
      assert.is_nil(inspect.text(string.char(byte), 80, same):find("[%z\1-\31\127-\255]"))
    end
    assert.are.equal('"é \\u{9B}2J \\u{202E}"', inspect.text("é \u{9B}2J \u{202E}", 80, same))
  end)
end)

describe("the tokens of a text", function()
  it("are all of it but blanks, in their order", function()
    for _, path in ipairs{ "lua/proxylua/init.lua", "lua/proxylua/util/lua_lexer.lua",
      "lua/proxylua/help/init.lua" } do
      local file = assert(io.open(path))
      local text = file:read("a")
      file:close()
      local at = 1
      for _, token in ipairs(lexer.tokens(text)) do
        assert.is_nil(text:sub(at, token.from - 1):find("%S"))
        assert.are.equal(token.text, text:sub(token.from, token.to))
        assert.is_nil(token.open)
        at = token.to + 1
      end
      assert.is_nil(text:sub(at):find("%S"))
    end
  end)

  it("say what is open", function()
    for _, text in ipairs{ "'abc", '"abc\\"', "[[ab", "[==[ ]]", "--[[ x", "-- x" } do
      assert.is_true(lexer.tokens(text)[1].open, text)
    end
  end)
end)
