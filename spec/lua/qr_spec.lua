-- src/qr/qr.c, src/qr/png.c and lua/proxylua/qr.lua: all forms hold the same modules, and a real
-- reader reads them.

local codes = require "spec.support.codes"
local core = require "proxylua.core"
local program = require "spec.support.program"
local px = require "proxylua"

local TEXT = "TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE"

-- Printable texts of lengths up to some bytes, the same at every run.
local function texts(count, longest)
  local list, state = {}, 7
  local function number(most)
    state = (state * 6364136223846793005 + 1442695040888963407)
    return (state >> 33) % most
  end
  for at = 1, count do
    local bytes = {}
    for place = 1, 1 + number(longest) do bytes[place] = string.char(33 + number(94)) end
    list[at] = table.concat(bytes)
  end
  return list
end

local function refused(kind, fn, ...)
  local result, err = px.try(fn, ...)
  assert.is_nil(result)
  assert.are.equal(kind, err.kind)
  return err.message
end

describe("a QR code", function()
  it("has its three finders and a margin of four modules", function()
    local rows = core.qr.rows(TEXT)
    local width = #rows
    assert.are.equal(37, width)
    local finder = { "1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111" }
    for at, bar in ipairs(finder) do
      assert.are.equal(bar, rows[4 + at]:sub(5, 11))
      assert.are.equal(bar, rows[4 + at]:sub(-11, -5))
      assert.are.equal(bar, rows[width - 11 + at]:sub(5, 11))
    end
    for at, row in ipairs(rows) do
      assert.are.equal(width, #row)
      if at <= 4 or at > width - 4 then assert.is_nil(row:find("1")) end
      assert.are.equal("0000 0000", row:sub(1, 4) .. " " .. row:sub(-4))
    end
  end)

  it("is the same in all of its forms", function()
    for at, text in ipairs(texts(12, 120)) do
      local rows = core.qr.rows(text)
      local shown, columns, lines = px.qr.text(text)
      local plain = shown:gsub("\27%[[%d;]*m", "")
      assert.are.equal(#rows, columns)
      assert.are.equal((#rows + 1) // 2, lines)
      assert.are.equal(lines, select(2, shown:gsub("\n", "")))
      assert.are.same(rows, table.move(codes.of_text(plain, columns), 1, columns, 1, {}))
      assert.are.same(rows, codes.of_svg(px.qr.svg(text,
        { caption = "of <any> & 'kind'" })))
      assert.are.same(rows, codes.of_png(px.qr.png(text, { scale = at }), at))
    end
  end)

  it("is dark on light on a terminal of any colours, each line by itself", function()
    for line in px.qr.text(TEXT):gmatch("([^\n]*)\n") do
      assert.has.match("^\27%[38;5;16;48;5;231m[^\27]+\27%[0m$", line)
    end
  end)

  it("is a PNG of one bit a pixel, and of nothing but what it needs", function()
    local chunks = codes.chunks(px.qr.png(TEXT))
    local list = {}
    for at, chunk in ipairs(chunks) do list[at] = chunk.name end
    assert.are.same({ "IHDR", "IDAT", "IEND" }, list)
    assert.are.equal((">I4I4BBBBB"):pack(37 * 8, 37 * 8, 1, 0, 0, 0, 0), chunks[1].bytes)
  end)

  it("holds no more than it can, and says so", function()
    assert.has.match("cannot hold a text of 5000 bytes",
      refused("usage", px.qr.text, ("x"):rep(5000)))
    assert.has.match("NUL", refused("usage", px.qr.svg, "a\0b"))
    assert.has.match("text", refused("usage", px.qr.png, ""))
    assert.has.match("text", refused("usage", px.qr.text))
    assert.has.match("1 to 64", refused("usage", px.qr.png, "x", { scale = 65 }))
    assert.has.match("1 to 64", refused("usage", px.qr.png, "x", { scale = 0 }))
    assert.has.match("integer", refused("usage", px.qr.png, "x", { scale = 1.5 }))
    for _, caption in ipairs{ "", "a\nb", "\xFF", 5 } do
      refused("usage", px.qr.svg, "x", { caption = caption })
    end
    assert.are.equal(177 + 8, #core.qr.rows(("x"):rep(2331)))
  end)

  it("is not needed by a run that shows none: its library comes with the first one", function()
    local result = program.run({ "-e", [[
      local px = require "proxylua"
      local function loaded() return io.open("/proc/self/maps"):read("a"):find("libqrencode", 1, true) ~= nil end
      local before = loaded()
      px.qr.text("x")
      print(before)]] })
    assert.are.same({ 0, "false\n", "" }, { result.code, result.out, result.err })
  end)
end)

describe("a missing library", function()
  it("is an error that says what to install, and no hindrance to a deposit without a code",
    function()
    local folder = program.folder()
    program.write(folder .. "/libqrencode.so.4", "")
    local env = { LD_LIBRARY_PATH = folder }
    local result = program.run({ "--sandbox", "deposit", "BTC", "--png", folder .. "/x.png" },
      { env = env })
    assert.are.equal(2, result.code)
    assert.has.match("a QR code needs the library libqrencode%.so%.4, which cannot be opened %(.*"
      .. "Debian: libqrencode4", result.err)
    assert.is_nil(core.system.kind(folder .. "/x.png"))
    result = program.run({ "--sandbox", "deposit", "BTC" }, { env = env })
    assert.are.same({ 0, "" }, { result.code, result.err })
    program.remove(folder)
  end)
end)

if os.getenv("DEPOSIT_LONG") then
  describe("a real reader", function()
    local folder

    before_each(function() folder = program.folder() end)
    after_each(function() program.remove(folder) end)

    it("reads the code in every form", function()
      local list, paths = texts(40, 90), {}
      for at, text in ipairs(list) do
        local base = ("%s/%02d"):format(folder, at)
        program.write(base .. ".png", px.qr.png(text, { scale = 2 + at % 8 }))
        program.write(base .. ".svg", px.qr.svg(text, { caption = "USDT on TRC20" }))
        local shown, columns = px.qr.text(text)
        program.write(base .. ".pbm",
          codes.picture(codes.of_text(shown:gsub("\27%[[%d;]*m", ""), columns)))
        assert(os.execute(("rsvg-convert %s.svg -o %s-svg.png"):format(base, base)))
        for _, name in ipairs{ ".png", "-svg.png", ".pbm" } do paths[#paths + 1] = base .. name end
      end
      local expected = {}
      for _, text in ipairs(list) do expected[#expected + 1] = (text .. "\n"):rep(3) end
      assert.are.equal(table.concat(expected), codes.read(paths))
    end)
  end)
end
