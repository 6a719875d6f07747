-- Keys at a real terminal: completion, pasting, moving, searching, and what becomes of the window.

local program = require "spec.support.program"
local terminal = require "spec.support.terminal"

describe("the line", function()
  local at

  local function open(options)
    at = terminal.open({ "--sandbox", "--quiet" }, options)
    at:prompt()
    return at
  end

  -- Types at an empty prompt, presses Tab, and waits for a text; drops the line then.
  local function complete(text, expected)
    at:press("C-l")
    at:type(text)
    at:press("Tab")
    local screen = at:await(expected)
    at:press("C-c")
    at:await("^C\npx>")
    return screen
  end

  after_each(function()
    if at then at:close() end
    at = nil
  end)

  it("is completed by Tab: globals, fields, methods, endpoints, their parameters and values",
    function()
    open()
    complete("collectg", "px> collectgarbage")
    complete("px.orders.ca", "px> px.orders.calc")
    complete("px.orders.list{ sta", "px> px.orders.list{ status =")
    complete("px.orders.list{ status = \"ac", "px> px.orders.list{ status = \"active\"")
    complete("px.deposits.create_address{ currency = 'USD", "currency = 'USDT'")
    local screen = complete("px.orders.create{ type = 'isp', ", "quantity")
    assert.truthy(screen:find("GB for residential", 1, true))
    assert.is_nil(screen:find("\ntype", 1, true), "what is given already is offered again")
    complete(":jou", "px> :journal")
    complete(":help conf", "px> :help config")
    complete(":help lim", "px> :help limits")
    complete(":help orders cr", "px> :help orders create")
    complete(":help px.journal.s", "px> :help px.journal.settle")
    complete(":load /etc/passw", "px> :load /etc/passwd")
    at:run("text = 'abc'")
    complete("text:up", "px> text:upper")
  end)

  it("keeps what is pasted in one piece, and completes nothing in it", function()
    open()
    at:paste("for i = 1, 2 do\n\tprint('pasted ' .. i)\nend\nprint('é 你好')\n")
    local screen = at:await("print('é 你好')")
    assert.is_nil(screen:find("pasted 1", 1, true), "it runs before Enter")
    at:press("Enter")
    at:await("pasted 1\npasted 2\né 你好\npx>")
  end)

  it("takes a long text at once", function()
    open{ height = 20 }
    local lines = {}
    for index = 1, 2000 do lines[index] = ("x%d = %d"):format(index, index) end
    at:paste(table.concat(lines, "\n"))
    at:await("x2000 = 2000")
    at:press("Enter")
    at:await(function(screen) return screen:find("\npx>$") end)
    assert.are.equal("2001", at:run("x1 + x2000"))
  end)

  it("lets nothing through a paste that a terminal obeys", function()
    open()
    at:paste("'a\27[2Jb\7c'")
    at:await("px> 'a[2Jbc'")
    at:press("Enter")
    at:await("\na[2Jbc\npx>")
  end)

  it("has wide characters, which do not break it", function()
    open{ width = 30 }
    local text = "'" .. ("你好"):rep(10) .. "'"
    at:type(text)
    at:press("Home")
    at:press("Right")
    at:type("é")
    at:await("px> 'é你好你好你好你好你好你好\n你好你好你好你好'")
    at:press("BSpace")
    at:press("End")
    at:type("x")
    at:await("'x")
    at:press("BSpace")
    at:press("Enter")
    at:await(function(screen)
      return select(2, screen:gsub("你", "")) == 20 and screen:find("px>$")
    end)
  end)

  it("is drawn anew when the window changes", function()
    open{ width = 100 }
    at:type("'" .. ("abcdefghi "):rep(8) .. "'")
    at:await("abcdefghi '")
    at:resize(40, 30)
    at:await("px> 'abcdefghi abcdefghi abcdefghi abcde\nfghi")
    at:resize(120, 30)
    at:await("px> '" .. ("abcdefghi "):rep(8) .. "'")
    at:type(" .. 'x'")
    at:press("Enter")
    at:await("abcdefghi x\npx>")
  end)

  it("searches the history with Ctrl-R, and moves in an input of several lines with the arrows",
    function()
    open()
    at:run("a = 'first'")
    at:run("b = 'second'")
    at:press("C-r")
    at:type("fir")
    at:await("a = 'first'")
    at:press("Enter")
    at:await(function(screen) return screen:find("px> a = 'first'\npx>$") end)
    at:type("c = {")
    at:press("Enter")
    at:type("1 }")
    at:press("Up")
    at:press("End")
    at:press("Home")
    at:press("Down")
    at:press("C-c")
    at:await("^C\npx>")
    at:press("Up")
    at:await(function(screen) return screen:find("px> a = 'first'$") end)
    at:press("Up")
    at:await(function(screen) return screen:find("px> b = 'second'$") end)
    at:press("Down")
    at:await(function(screen) return screen:find("px> a = 'first'$") end)
  end)

  it("is dropped by Ctrl-C, all of its lines", function()
    open()
    at:type("for i = 1, 2 do")
    at:press("Enter")
    at:type("print(i)")
    at:await("print(i)") -- Ctrl-C discards what has not been read
    at:press("C-c")
    at:await("print(i)^C\npx>")
    assert.are.equal("2", at:run("1 + 1"))
  end)

  it("is there again after Ctrl-Z and fg", function()
    local folder = program.folder()
    local command = program.command(folder, { "--sandbox", "--quiet" },
      { TERM = "screen-256color" })
    at = terminal.open({}, { command = "env PS1='shell> ' bash --norc --noprofile -i" })
    at:await("shell>")
    at:type(command)
    at:press("Enter")
    at:prompt()
    at:type("1 + ")
    at:await("px> 1 +")
    at:press("C-z")
    at:await("Stopped")
    at:type("fg")
    at:press("Enter")
    at:await(function(screen) return screen:find("\npx> 1 %+$") end)
    at:type("2")
    at:press("Enter")
    at:await("\n3\npx>")
    at:press("C-d")
    at:await(function(screen) return screen:find("shell>$") end)
    at:type("exit")
    at:press("Enter")
    program.remove(folder)
    pcall(at.tmux, at, "kill-server")
    program.remove(at.folder)
    at = nil
  end)
end)

describe("the history", function()
  local home, file, at

  before_each(function()
    home = program.folder()
    file = home .. "/state/proxylua/history"
  end)

  after_each(function()
    if at then at:close() end
    at = nil
    program.remove(home)
  end)

  local function open(env)
    at = terminal.open({ "--sandbox", "--quiet" }, { home = home, env = env })
    return at
  end

  it("is a file for its user alone, in which each input stands once and no key", function()
    open{ PROXYLUA_API_KEY = "very-secret-key" }
    at:prompt()
    at:run("a = 1")
    at:run("b = 2")
    at:run("a = 1")
    assert.are.equal("[key]", at:run("'very-secret-key'"))
    at:run("k = 'sk_live_abcdef123456'")
    at:run("print([[x\\n]])")
    assert.are.equal("b = 2\na = 1\nprint([[x\\\\n]])\n", program.read(file))
    local pipe = io.popen("stat -c %a " .. file)
    assert.are.equal("600\n", pipe:read("a"))
    pipe:close()
    at:close()
    open()
    at:prompt()
    at:press("Up")
    at:await("px> print([[x\\n]])")
  end)

  it("is shared by sessions at the same time", function()
    local other = terminal.open({ "--sandbox", "--quiet" }, { home = home })
    open()
    at:prompt()
    other:prompt()
    for index = 1, 3 do
      at:run("mine = " .. index)
      other:run("theirs = " .. index)
    end
    other:close()
    local text = program.read(file)
    for index = 1, 3 do
      assert.truthy(text:find("mine = " .. index, 1, true))
      assert.truthy(text:find("theirs = " .. index, 1, true))
    end
  end)

  it("is bounded", function()
    assert(os.execute("mkdir -p " .. home .. "/state/proxylua"))
    local lines = {}
    for index = 1, 5000 do lines[index] = ("x = %d\n"):format(index) end
    program.write(file, table.concat(lines))
    open()
    at:prompt()
    at:run("y = 1")
    local text = program.read(file)
    assert.are.equal(1000, select(2, text:gsub("\n", "")))
    assert.truthy(text:find("x = 5000\ny = 1\n$"))
  end)

  it("on a full disk stays as it is, is reported, and does not end the session",
    function()
    assert(os.execute("mkdir -p " .. home .. "/state/proxylua"))
    local text = ("x = 'something of some length'\n"):rep(5):gsub("something", "%0") .. "y = 1\n"
    program.write(file, (text:rep(100)))
    at = terminal.open({}, {
      home = home,
      command = "sh -c " .. program.quote("ulimit -f 1; exec " .. program.command(home,
        { "--sandbox", "--quiet" },
        { TERM = "screen-256color" })),
    })
    at:prompt()
    at:type("a = '" .. ("b"):rep(2000) .. "'")
    at:press("Enter")
    at:await("is not used: cannot write")
    assert.are.equal("3", at:run("1 + 2"))
    assert.are.equal(text:rep(100), program.read(file))
  end)

  it("that is damaged, or cannot be written, is reported once and does not end the session",
    function()
    assert(os.execute("mkdir -p " .. home .. "/state/proxylua"))
    program.write(file, "a = 1\n\0\255\254")
    open()
    at:await("is not used: it is damaged")
    assert.are.equal("2", at:run("1 + 1"))
    assert.are.equal("a = 1\n\0\255\254", program.read(file))
    at:close()
    assert(os.execute(("rm -f %s %s.lock && mkdir %s.lock"):format(file, file, file)))
    open()
    at:prompt()
    assert.truthy(at:run("a = 1"):find("is not used: cannot open the lock file", 1, true))
    assert.are.equal("2", at:run("1 + 1"))
  end)
end)
