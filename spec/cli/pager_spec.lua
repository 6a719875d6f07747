-- lua/proxylua/term/pager.lua: what is longer than the terminal, at a real one.

local program = require "spec.support.program"
local terminal = require "spec.support.terminal"

describe("a text that is longer than the terminal", function()
  local at
  after_each(function() at:close() end)

  local function open(arguments, height, env)
    local home = program.folder()
    program.write(home .. "/pager", 'echo "paged: $(grep -c "")"\n')
    env.PAGER = env.PAGER and env.PAGER:gsub("HOME", home)
    at = terminal.open(arguments, { height = height, env = env, home = home })
    return home
  end

  it("is shown by the user's pager, whole", function()
    open({ "help" }, 20, { PAGER = "sh HOME/pager" })
    local lines = tonumber(at:await("exit 0"):match("paged: (%d+)"))
    assert.is_true(lines > 40)
  end)

  it("is not, if it fits, or if there is to be none", function()
    open({ "help" }, 200, { PAGER = "sh HOME/pager" })
    assert.is_nil(at:await("exit 0"):find("paged", 1, true))
    at:close()
    open({ "help" }, 20, { PAGER = "sh HOME/pager", PROXYLUA_PAGER = "" })
    assert.is_nil(at:await("exit 0"):find("paged", 1, true))
  end)

  it("is written as ever if the pager fails", function()
    open({ "help" }, 20, { PAGER = "false" })
    assert.has.match("proxylua %-%-sandbox", at:await("exit 0"))
  end)
end)
