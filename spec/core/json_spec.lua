local core = require "proxylua.core"
local program = require "spec.support.program"
local json, money = core.json, core.money

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(core.error.is(err), "not an error value: " .. tostring(err))
  assert.are.equal("usage", err.kind)
  return err.message
end

local function typed(value)
  return (math.type(value) or type(value)) .. " " .. tostring(value)
end

describe("json.decode", function()
  before_each(function() math.randomseed(20261123) end)

  it("makes integers of whole numbers below 10^15, floats of others", function()
    for text, wanted in pairs{
      ["0"] = "integer 0", ["-0"] = "integer 0", ["7"] = "integer 7", ["-42"] = "integer -42",
        ["3.0"] = "integer 3",
      ["1e3"] = "integer 1000", ["999999999999999"] = "integer 999999999999999",
        ["1.5"] = "float 1.5",
        ["-0.1"] = "float -0.1",
      ["1e15"] = "float 1e+15", ["1E+20"] = "float 1e+20", ["25e-1"] = "float 2.5",
        ["1e-400"] = "integer 0",
      ["1.7976931348623e308"] = "float 1.7976931348623e+308",
        ["5e-324"] = "float 4.9406564584125e-324",
    } do assert.are.equal(wanted, typed(json.decode(text)), text) end
  end)

  it("hands numbers of more than 15 digits over as text, digit by digit", function()
    for _, text in ipairs{ "1234567890123456", "-12345678901234567890", "0.1234567890123456",
      "1.000000000000000",
                           "123456789.1234567", "1234567890123456e5", "-1.234567890123456E-7",
                             ("9"):rep(5000),
                           "1234567890123456e999" } do
      assert.are.equal("string " .. text, typed(json.decode(text)))
      assert.are.same({ a = text, b = { text, 1 } },
        json.decode('{"a":' .. text .. ' ,"b":[' .. text .. ",1]}"))
    end
    assert.are.equal("integer 123456789012345", typed(json.decode("123456789012345")))
    assert.are.equal("float 1.23456789012e-07", typed(json.decode("0.000000123456789012")))
  end)

  it("reads every number to the nearest double", function()
    for _ = 1, 20000 do
      local digits = tostring(math.random(0, 10 ^ math.random(1, 15) // 1 - 1))
      local text = (math.random(2) == 1 and "-" or "") .. digits
      if math.random(2) == 1 then
        text = text .. "." .. ("%d"):format(math.random(0, 10 ^ (15 - #digits) // 1))
      end
      if math.random(2) == 1 then text = text .. "e" .. math.random(-330, 290) end
      if #text:gsub("e.*", ""):gsub("%D", "") <= 15 then assert.are.equal(tonumber(text),
        tonumber(json.decode(text)),
        text) end
    end
  end)

  it("drops null from objects and makes it json.null in lists", function()
    local null = json.null
    local value = json.decode('{"a":null,"b":[1,null,3,null],"c":[null],"d":{"e":null}}')
    assert.are.same({ b = { 1, null, 3, null }, c = { null }, d = {} }, value)
    assert.are.equal(null, value.c[1])
    assert.are.equal("null", tostring(null))
    assert.are.equal('{"b":[1,null,3,null],"c":[null],"d":{}}', json.encode(value))
    assert.are.equal('{"a":null}', json.encode{ a = null })
    assert.are.equal('[false,null]', json.encode(json.decode("[false,null]")))
    assert.are.equal(4, #value.b)
    assert.is_nil(json.decode("null"))
    assert.is_nil(json.decode('{"a":1,"a":null}').a)
  end)

  it("keeps an empty list a list", function()
    for _, text in ipairs{ "[]", "[[]]", '{"a":[],"b":{}}', "[[],[1],[],{}]",
      '{"a":{"b":[[],[[]]]}}' } do
      assert.are.equal(text, json.encode(json.decode(text)))
    end
    assert.are.equal("[]", json.encode(json.decode(" [ \n\t] ")))
    local list = json.decode("[]")
    list[1] = "now one"
    assert.are.equal('["now one"]', json.encode(list))
    assert.is_nil(getmetatable(json.decode("[1]")))
    assert.is_nil(getmetatable(json.decode("{}")))
    assert.are.equal("[]", json.decode('"[]"'))
  end)

  it("reads strings with every escape", function()
    assert.are.equal('"\\/\b\f\n\r\té€😀\0',
      json.decode([["\"\\\/\b\f\n\r\t\u00e9\u20AC\ud83d\uDE00\u0000"]]))
    assert.are.equal("", json.decode('""'))
    assert.are.equal(("x"):rep(100000), json.decode('"' .. ("x"):rep(100000) .. '"'))
  end)

  it("refuses invalid JSON, and names the place", function()
    for text, message in pairs{
      [""] = "expected a value but found the end at character 1",
      ["<html>"] = "expected a value but found something else at character 1",
      ["tru"] = "expected a value but found something else at character 1",
      ['{"a":1'] = "expected ',' or '}' but found the end at character 7",
      ["[1 2]"] = "expected ',' or ']' but found a number at character 4",
      ["[1,]"] = "expected a value but found ']' at character 4",
      ["{a:1}"] = "expected a key in quotes but found something else at character 2",
      ['{"a" 1}'] = "expected ':' but found a number at character 6",
      ["[1]x"] = "expected the end but found something else at character 4",
      ["{} {}"] = "expected the end but found '{' at character 4",
      ['"abc'] = "expected a value but found unexpected end of string at character 5",
      ['"\\ud800"'] = "invalid unicode escape", ['"\\x"'] = "invalid escape",
        ["[1]\0"] = "a NUL byte at character 4",
      ["\0"] = "a NUL byte at character 1", ['"a\0b"'] = "a NUL byte at character 3",
    } do assert.matches(message, failure(json.decode, text), 1, true) end
    for _, value in ipairs{ {}, 1, true } do
      assert.matches("takes a text", failure(json.decode, value), 1, true)
    end
    failure(json.decode)
  end)

  it("refuses numbers that JSON has not, or a double cannot hold", function()
    for _, text in ipairs{ "NaN", "nan", "-nan", "Infinity", "-Infinity", "inf", "0x10", "-0x1p4",
      "01", "-01", "+1",
      ".5", "-.5",
                           "1.", "1.e5", "1e", "1e+", "-", "--1", "1e400", "-1e400",
                             "1e99999999999999999999",
                             "1_000", "00",
                           "0123456789012345678", "1234567890123456.", "1234567890123456e" } do
      failure(json.decode, text)
      failure(json.decode, "[" .. text .. "]")
    end
  end)

  it("bounds the nesting at 128 levels", function()
    local function nested(levels) return ("["):rep(levels) .. ("]"):rep(levels) end
    assert.are.equal(nested(128), json.encode(json.decode(nested(128))))
    assert.matches("more than 128 levels of nesting at character 129",
      failure(json.decode, nested(129)), 1, true)
    assert.matches("more than 128 levels", failure(json.decode, ("["):rep(200000)), 1, true)
    assert.matches("more than 128 levels", failure(json.decode, ('{"a":'):rep(200000)), 1, true)
    local wide = "[" .. ("[[[]]],"):rep(10000) .. "0]"
    assert.are.equal(10001, #json.decode(wide))
  end)

  it("gives a value or an error value for any bytes", function()
    local pieces = { "{", "}", "[", "]", ",", ":", '"', '"a"', "1", "-", "1e5", "null", "true",
      "fals", " ", "\\",
      "\\u00", "\0",
                     "\xff", "é", "[]", "{}", "12345678901234567890", "0.5" }
    local values = 0
    for _ = 1, 20000 do
      local text = {}
      for index = 1, math.random(1, 8) do text[index] = pieces[math.random(#pieces)] end
      local ok, result = pcall(json.decode, table.concat(text))
      if ok then values = values + 1 else assert.is_true(core.error.is(result)) end
    end
    assert.is_true(values > 100)
    for _ = 1, 2000 do
      local text = {}
      for index = 1, math.random(0, 40) do text[index] = string.char(math.random(0, 255)) end
      local ok, result = pcall(json.decode, table.concat(text))
      assert.is_true(ok or core.error.is(result))
    end
  end)

  it("is right after tables of any size", function()
    for _ = 1, 500 do
      local list, object = {}, {}
      for index = 1, math.random(0, 1) * math.random(0, 700) do list[index] = index end
      for index = 1, math.random(0, 1) * math.random(0, 700) do object["k" .. index] = index end
      local decoded = json.decode(json.encode{ list = json.array(list), object = object,
        last = { { 1 }, { a = 1 } } })
      assert.are.equal(#list, #decoded.list)
      for index = 1, #list do assert(decoded.list[index] == index) end
      for key, value in pairs(object) do assert(decoded.object[key] == value) end
      for key, value in pairs(decoded.object) do assert(object[key] == value) end
    end
  end)

  it("reads as much as is there", function()
    local count = 200000
    local list = json.decode("[" .. ("1,"):rep(count - 1) .. "2]")
    assert.are.same({ count, 1, 2 }, { #list, list[count - 1], list[count] })
  end)
end)

describe("json.encode", function()
  before_each(function() math.randomseed(20261123) end)

  it("writes every kind of value", function()
    assert.are.equal('{"a":[1,2.5,"x"],"b":true,"c":false,"d":{},"e":9.30,"f":-7}',
                     json.encode{ a = { 1, 2.5, "x" }, b = true, c = false, d = {},
                       e = money("9.3"), f = -7 })
    assert.are.equal("null", json.encode(nil))
    assert.are.equal('"x"', json.encode("x"))
    assert.are.equal("92233720368.54775807", json.encode(money("92233720368.54775807")))
    assert.are.equal("[9223372036854775807,-9223372036854775808]",
      json.encode{ math.maxinteger, math.mininteger })
  end)

  it("writes floats with the fewest digits that read back the same", function()
    for number, text in pairs{ [0.1] = "0.1", [1 / 3] = "0.333333333333333",
      [0.1 + 0.2] = "0.30000000000000004",
      [1e300] = "1e+300",
                               [2.5] = "2.5", [3.0] = "3", [-1e-7] = "-1e-07" } do
      if number == 1 / 3 then text = "0.3333333333333333" end
      assert.are.equal(text, json.encode(number))
    end
    for _ = 1, 5000 do
      local number = string.unpack("d", string.pack("i8", math.random(0)))
      if number == number and math.abs(number) ~= math.huge then
        assert.are.equal(number, tonumber(json.encode(number)))
      end
    end
    for _, number in ipairs{ 0 / 0, math.huge, -math.huge } do
      assert.matches("not a finite number", failure(json.encode, number), 1, true)
    end
  end)

  it("distinguishes lists from objects", function()
    assert.are.equal("[1,2,3]", json.encode{ 1, 2, 3 })
    assert.are.equal("{}", json.encode{})
    assert.are.equal("[]", json.encode(json.array{}))
    assert.are.equal("[]", json.encode(json.array()))
    assert.are.equal("[1]", json.encode(json.array{ 1, page = 2, total = 9 }))
    assert.are.equal('{"1":"a"}', json.encode{ ["1"] = "a" })
    local hashed = {}
    for index = 100, 1, -1 do hashed[index] = index end
    assert.are.same(100, #json.decode(json.encode(hashed)))
    for place, value in pairs{ ["the value is a list with gaps"] = { 1, nil, 3 },
      ["a is a list with gaps"] = { a = { [2] = 1 } },
                               ["the value mixes positions and names"] = { 1, x = 2 },
                               ["a[2] has a boolean for a key"] = { a = { 1, { [true] = 1 } } },
                               ["a.b has a number for a key"] = { a = { b = { [1.5] = 1 } } } } do
      assert.matches(place, failure(json.encode, value), 1, true)
    end
    assert.matches("the list has a gap", failure(json.encode, json.array{ 1, nil, nil, 4 }), 1,
      true)
  end)

  it("marks plain tables alone", function()
    local list = {}
    assert.is_true(rawequal(list, json.array(list)))
    assert.is_true(rawequal(list, json.array(list)))
    assert.matches("has a metatable", failure(json.array, setmetatable({}, {})), 1, true)
    assert.matches("takes a table", failure(json.array, "x"), 1, true)
  end)

  it("escapes strings and refuses bytes that are not UTF-8", function()
    assert.are.equal([["\"\\/\b\f\n\r\t\u0000\u0001\u001f\u007fé😀"]],
      json.encode('"\\/\b\f\n\r\t\0\1\31\127é😀'))
    assert.are.equal('{"a\\nb":1}', json.encode{ ["a\nb"] = 1 })
    for _, bytes in ipairs{ "\xff", "a\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
      "\xf0\x8f\xbf\xbf",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xc3",
                              "\xf0\x9f\x98" } do
      assert.matches("not UTF-8", failure(json.encode, bytes), 1, true)
      assert.matches("not UTF-8", failure(json.encode, { [bytes] = 1 }), 1, true)
    end
    local text, place = json.encode({ a = { "x\xffé\"" }, ["k\x80"] = 1 }, { bytes = "escape" })
    assert.are.equal('{"a":["x\\udcffé\\""],"k\\udc80":1}', text)
    assert.are.equal("a[1]", place)
    assert.is_nil(select(2, json.encode("é", { bytes = "escape" })))
    assert.matches("bytes is", failure(json.encode, "x", { bytes = true }), 1, true)
    assert.matches("a.b[1] holds bytes", failure(json.encode, { a = { b = { "\xff" } } }), 1, true)
    for _, edge in ipairs{ 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff } do
      assert.are.equal('"' .. utf8.char(edge) .. '"', json.encode(utf8.char(edge)))
    end
  end)

  it("refuses what JSON cannot hold, and says where", function()
    assert.matches("orders[2].run is a function",
      failure(json.encode, { orders = { {}, { run = print } } }), 1, true)
    assert.matches("the value is a thread", failure(json.encode, coroutine.create(print)), 1, true)
    assert.matches("a is a userdata", failure(json.encode, { a = io.stdout }), 1, true)
    failure(json.encode)
  end)

  it("refuses a table that contains itself, and says where", function()
    local cycle = { a = { {} } }
    cycle.a[2] = { b = cycle }
    assert.matches("a[2].b is a table that it lies in: the value contains itself",
      failure(json.encode, cycle), 1, true)
    local list = {}
    list[1] = list
    assert.matches("[1] is a table that it lies in", failure(json.encode, list), 1, true)
    assert.are.equal("[[],[]]", json.encode{ json.array(cycle.a[1]), cycle.a[1] })
  end)

  it("bounds the nesting", function()
    local deep = 1
    for _ = 1, 128 do deep = { deep } end
    assert.are.equal(("["):rep(128) .. 1 .. ("]"):rep(128), json.encode(deep))
    local message = failure(json.encode, { deep })
    assert.matches("deeper than 128 levels", message, 1, true)
    assert.is_true(#message < 200)
  end)

  it("writes equal values as equal texts, keys sorted", function()
    local one, other = {}, {}
    for index = 1, 200 do one["k" .. index] = index end
    for index = 200, 1, -1 do other["k" .. index] = index end
    assert.are.equal(json.encode(one), json.encode(other))
    assert.are.equal('{"":1,"A":2,"a":3,"a\\u0000":4,"aa":5,"b":6}',
                     json.encode{ b = 6, aa = 5, ["a\0"] = 4, a = 3, A = 2, [""] = 1 })
  end)

  it("indents for people", function()
    assert.are.equal('{\n  "a": [\n    1,\n    {}\n  ],\n  "b": []\n}', json.encode({ a = { 1, {} },
      b = json.array{} }, { indent = 2 }))
    assert.are.equal("1", json.encode(1, { indent = 4 }))
    assert.are.equal("[1]", json.encode({ 1 }, { indent = 0 }))
    for _, options in ipairs{ 2, { indent = -1 }, { indent = 17 }, { indent = "x" },
      { indent = 1.5 }, { indnet = 2 },
      { 2 } } do
      failure(json.encode, {}, options)
    end
  end)

  it("reads no metamethods", function()
    local guarded = setmetatable({ a = 1 }, { __index = error, __pairs = error, __len = error })
    assert.are.equal('{"a":1}', json.encode(guarded))
  end)

  it("gives back every tree that it is given", function()
    local function text()
      local parts = {}
      for index = 1, math.random(0, 6) do parts[index] = utf8.char(math.random(0,
        math.random(2) == 1 and 0x7f or 0xd7ff)) end
      return table.concat(parts)
    end
    local leaves = {
      text, text,
      function() return math.random(-10 ^ 15 // 1 + 1, 10 ^ 15 // 1 - 1) end,
      function() return math.random(-10 ^ 9 // 1, 10 ^ 9 // 1) / 1000 end,
      function() return math.random(2) == 1 end,
    }
    local function tree(depth)
      local kind = depth > 0 and math.random(4) or 4
      local result = {}
      if kind == 4 then return leaves[math.random(#leaves)]() end
      for index = 1, math.random(0, 6) do
        result[kind == 1 and index or text()] = tree(depth - 1)
      end
      return kind == 1 and next(result) == nil and json.array(result) or result
    end
    for _ = 1, 1000 do
      local value = tree(5)
      local written = json.encode(value)
      local read = json.decode(written)
      assert.are.same(value, read)
      assert.are.equal(written, json.encode(read))
      assert.are.same(value, json.decode(json.encode(value, { indent = 3 })))
    end
  end)

  it("keeps null in lists while finalizers decode other texts", function()
    local result = program.run{ "-e", [[
      local px = require "proxylua"
      collectgarbage("incremental", 100, 400)
      collectgarbage()
      local ran, wrong = 0, 0
      local function trap()
        setmetatable({}, { __gc = function()
          ran = ran + 1
          pcall(px.json.decode, "[null")
          if px.json.decode("[null]")[1] ~= px.json.null then wrong = wrong + 1 end
        end })
      end
      local text = "[" .. ("[1,null,{\"a\":null}],"):rep(500) .. "null]"
      for _ = 1, 6 do
        for _ = 1, 20 do trap() end
        local list = px.json.decode(text)
        for at = 1, 500 do
          if list[at][2] ~= px.json.null or next(list[at][3]) then wrong = wrong + 1 end
        end
      end
      print(ran > 0, wrong)]] }
    assert.are.same({ 0, "true\t0\n" }, { result.code, result.out }, result.err)
  end)

  it("encodes in finalizers that run while it encodes", function()
    local result = program.run{ "-e", [[
      local px = require "proxylua"
      collectgarbage("incremental", 10, 4000)
      collectgarbage() -- the pause holds from the next cycle on
      local ran, other = 0, nil
      local options = { bytes = "escape" }
      local function trap()
        setmetatable({}, { __gc = function()
          ran = ran + 1
          local text = px.json.encode({ z = { y = { x = "value" } } }, options)
          if text ~= '{"z":{"y":{"x":"value"}}}' then other = text end
          pcall(px.json.encode, print)
          trap()
        end })
      end
      local value, want, same = {}, nil, true
      for i = 1, 300 do value["key" .. i] = { bytes = "\xff\xfe" .. i, n = i } end
      for _ = 1, 6 do
        for _ = 1, 20 do trap() end
        local text = px.json.encode(value, options)
        want = want or text
        same = same and text == want
      end
      print(ran > 0, same, other)]] }
    assert.are.same({ 0, "true\ttrue\tnil\n" }, { result.code, result.out }, result.err)
  end)
end)
