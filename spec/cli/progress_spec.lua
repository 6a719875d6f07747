-- lua/proxylua/term/progress.lua: what a terminal shows of it, and that a pipe is spared.

local program = require "spec.support.program"

local CODE = [[
  local progress = require("proxylua.term.progress").start("checked", %s, { quiet = %s })
  for _ = 1, 3 do progress:step(10) os.execute("sleep 0.12") end
  progress:finish()
]]

describe("Progress", function()
  -- What the terminal gets, in a width.
  local function shown(total, quiet, width)
    local pipe = io.popen(("COLUMNS=%d TERM=xterm script -qec %s /dev/null </dev/null"):format(width
      or 80,
      program.quote(program.command(os.getenv("PWD"), { "-e", CODE:format(total, quiet) },
        { COLUMNS = width or 80 }))))
    local text = pipe:read("a")
    pipe:close()
    return text
  end

  it("shows bar, count, rate and time left on a terminal, and leaves nothing", function()
    local text = shown("40", "false")
    assert.matches("%[#####%-+%] 10 of 40 checked", text)
    assert.matches("20 of 40 checked, %d+ a second, %d+s left", text)
    assert.matches("\r\27%[K$", text)
  end)

  it("shows count and rate when the total is unknown", function()
    local text = shown("nil", "false")
    assert.matches("\27%[K10 checked\r", text)
    assert.matches("\27%[K20 checked, %d+ a second\r", text)
  end)

  it("counts one thing in the singular", function()
    local result = program.run{ "-e", [[
      local progress = require("proxylua.term.progress").start("orders", nil, {})
      progress.shown = true
      progress:step()
    ]] }
    assert.matches("1 order\r", result.err)
  end)

  it("never takes more than a line", function()
    for line in shown("40", "false", 20):gmatch("\27%[K([^\r]*)") do
      assert.is_true(#line < 20, line)
    end
  end)

  it("is silent with --quiet, and in a pipe", function()
    assert.are.equal("", shown("40", "true"))
    local result = program.run{ "-e", CODE:format("40", "false") }
    assert.are.same({ 0, "", "" }, { result.code, result.out, result.err })
  end)
end)
