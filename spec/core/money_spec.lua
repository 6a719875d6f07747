local core = require "proxylua.core"
local money = core.money

-- Exact arithmetic on digit strings, to compare with.

local function strip(digits)
  return (digits:gsub("^0+(%d)", "%1"))
end

local function multiply(a, b)
  local sums = {}
  for i = 1, #a + #b do sums[i] = 0 end
  for i = #a, 1, -1 do
    for j = #b, 1, -1 do
      local sum = sums[i + j] + tonumber(a:sub(i, i)) * tonumber(b:sub(j, j))
      sums[i + j] = sum % 10
      sums[i + j - 1] = sums[i + j - 1] + sum // 10
    end
  end
  return strip(table.concat(sums))
end

local function increment(digits)
  local head, nines = digits:match("^(.-)(9*)$")
  if head == "" then return "1" .. nines:gsub("9", "0") end
  return head:sub(1, -2) .. tostring(tonumber(head:sub(-1)) + 1) .. nines:gsub("9", "0")
end

-- digits / 10^places, half away from zero
local function shift(digits, places)
  if places <= 0 then return strip(digits .. ("0"):rep(-places)) end
  digits = ("0"):rep(places + 1 - #digits) .. digits
  local kept, cut = digits:sub(1, -places - 1), digits:sub(-places, -places)
  return strip(cut >= "5" and increment(kept) or kept)
end

-- digits / divisor (a small integer), half away from zero
local function divide(digits, divisor)
  local quotient, rest = {}, 0
  for digit in digits:gmatch("%d") do
    rest = rest * 10 + tonumber(digit)
    quotient[#quotient + 1] = tostring(rest // divisor)
    rest = rest % divisor
  end
  local whole = strip(table.concat(quotient))
  return rest * 2 >= divisor and increment(whole) or whole
end

-- The text of so many units of 10^-8, given as digits.
local function text_of(negative, digits)
  if not digits:find("[1-9]") then return "0.00" end
  digits = ("0"):rep(9 - #digits) .. digits
  local fraction = digits:sub(-8):gsub("0+$", "")
  return (negative and "-" or "") .. digits:sub(1, -9) .. "." .. fraction
    .. ("0"):rep(2 - #fraction)
end

local function text_of_units(units)
  return text_of(units < 0, (tostring(units):gsub("-", "")))
end

local function random_units()
  local bits = math.random(0, 62)
  return math.random(0, (1 << bits) - 1) * (math.random(2) == 1 and 1 or -1)
end

-- The error value that a call raises.
local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(core.error.is(err), "not an error value: " .. tostring(err))
  assert.are.equal("usage", err.kind)
  return err.message
end

describe("money", function()
  before_each(function() math.randomseed(20261123) end)

  it("reads plain decimals and exponents exactly, and prints at least two decimals", function()
    local texts = {
      ["9.30"] = "9.30", ["9.3"] = "9.30", ["9"] = "9.00", ["0"] = "0.00", ["-0"] = "0.00",
        ["+1.5"] = "1.50",
      ["-0.00000001"] = "-0.00000001", ["1e2"] = "100.00", ["12.5E-1"] = "1.25", ["1e+1"] = "10.00",
      ["0.123450000000"] = "0.12345", ["007.10"] = "7.10", ["100000000e-8"] = "1.00",
        ["0e99999999999"] = "0.00",
      ["92233720368.54775807"] = "92233720368.54775807", ["-92233720368.54775808"] =
        "-92233720368.54775808",
      ["0.1000000000000000000000000000000000000000"] = "0.10",
    }
    for given, printed in pairs(texts) do
      assert.are.equal(printed, tostring(money(given)), given)
    end
  end)

  it("refuses a value that is not an amount, too precise, or too large", function()
    for _, given in ipairs{ "", " ", "abc", "9,30", "9.30 ", " 9.30", "$9", "9.", ".5", "1e", "1e+",
      "--1", "0x10",
      "1_0",
                            "nan", "inf", "1.2.3", "1e2e3", "9.30\0", "٣" } do
      assert.matches("is not an amount", failure(money, given), 1, true)
    end
    for _, given in ipairs{ "0.000000001", "1e-9", "0.123456789", "1.0000000000000000000001",
      "1e-99999999999",
                            "18446744073709551619", "1844674407370955161.9" } do
      assert.matches("more than 8 decimals", failure(money, given), 1, true)
    end
    for _, given in ipairs{ "92233720368.54775808", "-92233720368.54775809", "1e11",
      "1e99999999999", math.maxinteger,
                            math.mininteger, 1e300 } do
      assert.matches("beyond the range", failure(money, given), 1, true)
    end
    for _, given in ipairs{ {}, true, print, 0/0, math.huge } do
      assert.matches("is not an amount", failure(money, given), 1, true)
    end
    assert.matches("nil", failure(money), 1, true)
  end)

  it("reads numbers by their first 15 digits", function()
    assert.are.equal("9.30", tostring(money(9.3)))
    assert.are.equal("0.30", tostring(money(0.1 + 0.2)))
    assert.are.equal("-7.00", tostring(money(-7)))
    assert.are.equal("92233720368.00", tostring(money(92233720368)))
    assert.are.equal("12345678901.12", tostring(money(12345678901.12)))
    assert.matches("more than 8 decimals", failure(money, 1 / 3), 1, true)
    for _ = 1, 2000 do
      local cents = math.random(-10^9 // 1, 10^9 // 1)
      assert.are.equal(text_of_units(cents * 1000000), tostring(money(cents / 100)))
    end
  end)

  it("is itself, and makes itself again from its text", function()
    local amount = money("9.30")
    assert.are.equal(amount, money(amount))
    assert.is_true(money.is(amount))
    assert.is_false(money.is("9.30"))
    assert.is_false(money.is(io.stdout))
    for _ = 1, 2000 do
      local units = random_units()
      local text = text_of_units(units)
      assert.are.equal(text, tostring(money(text)))
    end
  end)

  it("adds and subtracts exactly, or refuses to leave the range", function()
    for _ = 1, 5000 do
      local a, b = random_units() // 2, random_units() // 2
      local x, y = money(text_of_units(a)), money(text_of_units(b))
      assert.are.equal(text_of_units(a + b), tostring(x + y))
      assert.are.equal(text_of_units(a - b), tostring(x - y))
      assert.are.equal(text_of_units(-a), tostring(-x))
    end
    local most, least = money("92233720368.54775807"), money("-92233720368.54775808")
    assert.matches("beyond the range", failure(function() return most + "0.00000001" end), 1, true)
    assert.matches("beyond the range", failure(function()
      return least - money("0.00000001")
    end), 1, true)
    assert.matches("beyond the range", failure(function() return -least end), 1, true)
    assert.are.equal("-0.00000001", tostring(most + least))
  end)

  it("multiplies by any decimal, rounding half away from zero", function()
    for _ = 1, 5000 do
      local units, digits, places = random_units(), tostring(math.random(0, 10^9 // 1)),
        math.random(0, 12)
      local factor = digits .. "e-" .. places
      local wanted = shift(multiply(tostring(units):gsub("-", ""), digits), places)
      local ok, product = pcall(function() return money(text_of_units(units)) * factor end)
      if ok then
        assert.are.equal(text_of(units < 0, wanted), tostring(product), units .. " * " .. factor)
      else
        assert.is_true(#wanted > 19 or #wanted == 19 and wanted > "9223372036854775807",
          tostring(product))
      end
    end
    assert.are.equal("27.90", tostring(money("9.30") * 3))
    assert.are.equal("27.90", tostring(3 * money("9.30")))
    assert.are.equal("0.00000001", tostring(money("0.00000001") * 0.5))
    assert.are.equal("-0.00000001", tostring(money("-0.00000001") * 0.5))
    assert.are.equal("0.00", tostring(money("0.00000001") * 0.49))
    assert.are.equal("0.00", tostring(money("5") * "1e-5000"))
    assert.are.equal("3.33333333", tostring(money(10) * (1 / 3)))
    assert.matches("times an amount", failure(function() return money(1) * money(1) end), 1, true)
    assert.matches("beyond the range", failure(function() return money(1) * "1e5000" end), 1, true)
    assert.matches("nan", failure(function() return money(1) * (0/0) end))
  end)

  it("divides by a number into money, by money into a ratio", function()
    for _ = 1, 5000 do
      local units, divisor = random_units(), math.random(1, 10^9 // 1)
      local wanted = divide(tostring(units):gsub("-", ""), divisor)
      assert.are.equal(text_of(units < 0, wanted), tostring(money(text_of_units(units)) / divisor))
    end
    assert.are.equal("3.33333333", tostring(money("10") / 3))
    assert.are.equal("6.66666667", tostring(money("20") / 3))
    assert.are.equal("20.00", tostring(money("10") / "0.5"))
    assert.are.equal("0.00", tostring(money("10") / "1e5000"))
    assert.are.equal(0.75, money("3") / money("4"))
    assert.are.equal("float", math.type(money("4") / money("4")))
    assert.are.equal(4.0, 10 / money("2.50"))
    assert.matches("zero", failure(function() return money(1) / 0 end), 1, true)
    assert.matches("zero", failure(function() return money(1) / money(0) end), 1, true)
    assert.matches("beyond the range", failure(function() return money(1) / "1e-12" end), 1, true)
  end)

  it("rounds half away from zero", function()
    local cases = {
      { "2.345", 2, "2.35" }, { "-2.345", 2, "-2.35" }, { "2.344", 2, "2.34" },
        { "0.005", 2, "0.01" }, { "9.5", 0,
        "10.00" },
      { "14.99", -1, "10.00" }, { "15", -1, "20.00" }, { "1.23456789", 8, "1.23456789" },
        { "1.23", 30, "1.23" },
      { "92233720368", -11, "100000000000.00", true }, { "42", -30, "0.00" },
        { "-0.004", 2, "0.00" },
    }
    for _, case in ipairs(cases) do
      local amount = money(case[1])
      if case[4] then
        assert.matches("beyond the range", failure(amount.round, amount, case[2]), 1, true)
      else
        assert.are.equal(case[3], tostring(amount:round(case[2])), case[1])
      end
    end
    assert.are.equal("2.35", tostring(money("2.345"):round()))
    assert.matches("whole number", failure(function() return money(1):round(1.5) end), 1, true)
    for _ = 1, 2000 do
      local units, decimals = random_units() // 4, math.random(0, 7)
      local digits = tostring(units):gsub("-", "")
      local wanted = shift(digits, 8 - decimals) .. ("0"):rep(8 - decimals)
      assert.are.equal(text_of(units < 0, strip(wanted)),
        tostring(money(text_of_units(units)):round(decimals)))
    end
  end)

  it("compares with money, numbers and strings, and equals money alone", function()
    for _ = 1, 5000 do
      local a, b = random_units(), random_units()
      if math.random(4) == 1 then b = a end
      local x, y, text = money(text_of_units(a)), money(text_of_units(b)), text_of_units(b)
      assert.are.equal(a < b, x < y)
      assert.are.equal(a <= b, x <= y)
      assert.are.equal(a == b, x == y)
      assert.are.equal(a < b, x < text)
      assert.are.equal(a >= b, x >= text)
      assert.are.equal(b < a, text < x)
    end
    local amount = money("0.33333333")
    assert.is_true(amount < 1 / 3 and amount < math.huge and amount > -math.huge
      and amount <= "0.333333331")
    assert.is_false(amount < 0 / 0 or amount >= 0 / 0)
    assert.is_true(money(10) > 9.99 and 10 >= money(10) and money(10) <= 10 and money(-1) < 0
      and money(0) >= 0)
    assert.is_true(money(1) < "1e5000" and money(1) > "1e-5000" and money(-1) > "-1e5000"
      and money(0) > "-1e-5000")
    assert.is_false(money(1) == 1)
    assert.is_false(money(1) == "1.00")
    assert.matches("not an amount", failure(function() return money(1) < {} end), 1, true)
  end)

  it("joins with text and becomes a number", function()
    assert.are.equal("10 cost 9.30!", "10 cost " .. money("9.3") .. "!")
    assert.are.equal("9.301", money("9.3") .. 1)
    assert.are.equal("1.002.00", money(1) .. money(2))
    assert.are.equal(9.3, money("9.30"):tonumber())
    assert.are.equal("float", math.type(money(9):tonumber()))
    assert.matches("a table", failure(function() return money(1) .. {} end), 1, true)
    assert.are.equal(money("9.3").round, money("1").round)
  end)

  it("keeps its operators to itself", function()
    assert.are.equal("money", getmetatable(money(1)))
    assert.has_error(function() setmetatable(money(1), {}) end)
    assert.has_error(function() money(1).amount = 2 end)
    assert.matches("not an amount", failure(money(1).tonumber, 5), 1, true)
  end)
end)
