local program = require "spec.support.program"

describe("the traceback of an uncaught error", function()
  local folder

  before_each(function() folder = program.folder() end)
  after_each(function() program.remove(folder) end)

  local function trace(text, ...)
    program.write(folder .. "/script.lua", text)
    local result = program.run({ "--sandbox", ... }, { cwd = folder })
    return result.err:match("\nstack traceback:\n(.*)")
  end

  local missing = 'local px = require "proxylua"\nlocal function look() return '
    .. '(px.orders.get("ord_1")) end\nlook()\n'

  it("shows the script's frames alone", function()
    local text = trace(missing, "./script.lua"):gsub("%./", "")
    assert.are.equal("\tscript.lua:2: in local 'look'\n\tscript.lua:3: in main chunk\n", text)
  end)

  it("shows all with --verbose", function()
    local text = trace(missing, "--verbose", "./script.lua")
    assert.has.match("proxylua/api/endpoints.lua:%d+:", text)
    assert.has.match("script.lua:2:", text)
  end)

  it("keeps C functions that the script called, and drops those between it and the program",
    function()
    local text = trace('table.sort({ 1, 2 }, function() error("x") end)', "script.lua")
    assert.has.match("%[C%]: in function 'table.sort'", text)
    assert.has.match("%[C%]: in function 'error'", text)
    text = trace('local px = require "proxylua"\npx.try(function() error("x") end)\n', "script.lua")
    assert.has.match("script.lua:2: in main chunk\n$", text)
    assert.is_nil(text:find("pcall", 1, true))
    assert.is_nil(text:find("proxylua/", 1, true))
  end)

  it("takes no file of the user's for the program's own", function()
    assert(os.execute("mkdir " .. program.quote(folder .. "/proxylua")))
    program.write(folder .. "/proxylua/mine.lua", "error('x')")
    assert.has.match("\tproxylua/mine.lua:1: in main chunk\n", trace("", "proxylua/mine.lua"))
  end)
end)
