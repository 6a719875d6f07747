local px = require "proxylua"

local function refused(value)
  local ok, err = pcall(px.time, value)
  assert.is_false(ok, tostring(value))
  assert.are.equal("usage", err.kind)
  return err.message
end

describe("px.time", function()
  it("reads UTC times as whole seconds", function()
    assert.are.equal(0, px.time("1970-01-01T00:00:00Z"))
    assert.are.equal(1795464900, px.time("2026-11-23T20:15:00Z"))
    assert.are.equal("integer", math.type(px.time("2026-11-23T20:15:00Z")))
    assert.are.equal(1795464900, px.time("2026-11-23t20:15:00z"))
    assert.are.equal(1795464900, px.time("2026-11-23 20:15:00"))
    assert.are.equal(1795464900, px.time("  2026-11-23T20:15:00Z\n"))
    assert.are.equal(1795392000, px.time("2026-11-23"))
  end)

  it("agrees with date(1) on days all over the calendar", function()
    for _, day in ipairs{ "1969-12-31", "1970-03-01", "1999-12-31", "2000-02-29", "2000-03-01",
      "2024-02-29",
      "2100-02-28",
      "2100-03-01", "2400-02-29", "0001-01-01", "9999-12-31" } do
      local pipe = assert(io.popen(("date -u -d %sT12:34:56Z +%%s"):format(day)))
      assert.are.equal(pipe:read("n"), px.time(day .. "T12:34:56Z"), day)
      pipe:close()
    end
  end)

  it("reads fractions and offsets", function()
    assert.are.equal(1795464900.25, px.time("2026-11-23T20:15:00.25Z"))
    assert.are.equal(1795464900.125, px.time("2026-11-23T20:15:00.125000+00:00"))
    assert.are.equal(1795461300, px.time("2026-11-23T20:15:00+01:00"))
    assert.are.equal(1795484700, px.time("2026-11-23T20:15:00-0530"))
    assert.are.equal(1795461300, px.time("2026-11-23T20:15:00+01"))
  end)

  it("reads the zones UTC and GMT, and RFC 2822", function()
    for _, text in ipairs{ "2026-11-23 20:15:00 UTC", "2026-11-23T20:15:00UTC",
      "2026-11-23 20:15:00 gmt", "2026-11-23 21:15:00 +0100", "Mon, 23 Nov 2026 20:15:00 GMT",
      "Mon, 23 Nov 2026 20:15:00 +0000", "23 Nov 2026 20:15:00 UT", "23 nov 2026 20:15 Z",
      "Mon, 23-Nov-2026 20:15:00 GMT", "Mon, 23 Nov 2026 15:15:00 EST",
      "Mon, 23 Nov 2026 22:15:00 +0200" } do
      assert.are.equal(1795464900, px.time(text), text)
    end
    assert.are.equal(px.time("2026-11-03T20:15:00Z"), px.time("Tue, 3 Nov 2026 20:15:00 GMT"))
  end)

  it("refuses a text of any length in as many steps as a short one", function()
    local function steps_of(text)
      local count = 0
      debug.sethook(function() count = count + 1 end, "", 1)
      local ok = pcall(px.time, text)
      debug.sethook()
      assert.is_false(ok)
      return count
    end
    for _, text in ipairs{ (" "):rep(20000000), ("1"):rep(20000000), "2026-11-23" .. (" "):rep(1e7)
      .. "x", "2026-11-23T20:15:00." .. ("1"):rep(1e7), ("\0"):rep(1e7) } do
      assert.are.equal(steps_of("x"), steps_of(text))
    end
    assert.are.equal(1795464900, px.time((" "):rep(10000000) .. "2026-11-23T20:15:00Z"
      .. (" "):rep(10000000)))
  end)

  it("takes seconds and milliseconds", function()
    assert.are.equal(1795464900, px.time(1795464900))
    assert.are.equal(1795464900.5, px.time(1795464900.5))
    assert.are.equal(1795464900.5, px.time(1795464900500))
    assert.are.equal(1795464900, px.time("1795464900"))
    assert.are.equal(1795464900, px.time("1795464900000"))
    assert.are.equal(0, px.time(0))
  end)

  it("returns the current time without an argument", function()
    local apart = px.time() - os.time() -- clocks are set now and then, by a little
    assert.is_true(math.abs(apart) < 5, tostring(apart))
  end)

  it("refuses what is not a time", function()
    for _, value in ipairs{ "", "yesterday", "2026-13-01", "2026-00-01", "2026-02-29", "2026-11-31",
      "2026-11-23T24:00:00Z",
      "2026-11-23T20:60:00Z", "2026-11-23T20:15:61Z", "2026-11-23T20:15Z", "2026-11-23T20:15:00.Z",
        "26-11-23",
      "2026-11-23T20:15:00+24:00", "2026-11-23T20:15:00 CET", "2026-11-23T20:15:00UTCX", "0x10",
      "Mon 23 Nov 2026 20:15:00 GMT", "23 Nov 2026", "31 Nov 2026 20:15:00 GMT",
      "23 Nov 2026 20:15:00", "23 Nov 2026 24:15:00 GMT", "23 Nov 26 20:15:00 GMT", "1e5", 0 / 0,
        math.huge,
        -math.huge, true } do
      assert.has.match("is not a time", refused(value))
    end
    assert.has.match("nil is not a time", refused(nil))
    assert.has.match("a table is not a time", refused({}))
    assert.has.match('"2026%-02%-30" is not a time', refused("2026-02-30"))
  end)
end)

describe("px.date", function()
  it("writes seconds as the API writes times, which px.time reads", function()
    for text, seconds in pairs{ ["1970-01-01T00:00:00Z"] = 0, ["2026-11-23T20:15:00Z"] = 1795464900,
      ["2026-11-23T20:15:00.250Z"] = 1795464900.25, ["1969-12-31T23:59:59.500Z"] = -0.5,
      ["0001-01-01T00:00:00Z"] = -62135596800, ["2000-02-29T12:00:00Z"] = 951825600 } do
      assert.are.equal(text, px.date(seconds))
      assert.are.equal(seconds, px.time(text))
    end
    assert.are.equal("2026-11-23T20:15:00.500Z", px.date(1795464900500))
    assert.are.equal("2026-11-23T20:15:01Z", px.date(1795464900.9999))
  end)

  it("refuses what is not a time, and years that have more than four digits", function()
    for _, value in ipairs{ "", "2026-11-23", 0 / 0, 1 / 0, {}, true, -62135596801,
      253402300800000 } do
      local _, err = px.try(px.date, value)
      assert.are.equal("usage", err and err.kind, tostring(value))
      assert.matches("^px%.date: .* is not a time", err.message)
    end
    assert.are.equal("usage", select(2, px.try(px.date)).kind)
  end)
end)
