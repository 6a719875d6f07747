-- A session at a real terminal: inputs, values, errors and commands.

local core = require "proxylua.core"
local program = require "spec.support.program"
local terminal = require "spec.support.terminal"

describe("the prompt", function()
  local at

  local function open(options, arguments)
    at = terminal.open(arguments or { "--sandbox", "--spend", "100", "--quiet" }, options)
    at:prompt()
    return at
  end

  after_each(function()
    if at then at:close() end
    at = nil
  end)

  it("shows the values of an expression, and keeps the last one", function()
    open()
    assert.are.equal("2", at:run("1 + 1"))
    assert.are.equal("20", at:run("_ * 10"))
    assert.are.equal("1\ntwo\nnil", at:run("1, 'two', nil"))
    assert.are.equal("", at:run("x = 5"))
    assert.are.equal("6", at:run("x + 1"))
    assert.are.equal("", at:run("(function() end)()"))
    assert.are.equal("6", at:run("_"))
  end)

  it("shows in the banner and the prompt where it is, and what may be spent", function()
    at = terminal.open{ "--sandbox", "--spend", "25" }
    local screen = at:prompt()
    assert.truthy(screen:find("sandbox, money is not real; up to 25.00 may be spent", 1, true))
    assert.truthy(screen:find("px (sandbox, 25.00)>", 1, true))
  end)

  it("takes help, exit and quit without a colon, unless they are variables", function()
    open()
    assert.truthy(at:run("help"):find("Type an expression", 1, true))
    assert.truthy(at:run("help px.map"):find("px.map(", 1, true))
    assert.truthy(at:run("px.map?"):find("px.map(", 1, true))
    assert.are.equal("5", at:run("help = 5 return help"))
    assert.are.equal("5", at:run("help"))
    at:type("quit()")
    at:press("Enter")
    at:await("exit 0")
  end)

  it("warns of money that is compared with a number by == or ~=", function()
    open()
    assert.are.equal("money == a number is always false; use px.money(NUMBER), < or >\nfalse",
      at:run("px.account.get().balance == 1000"))
    assert.are.equal("true", at:run("balance = 3 return balance <= 3"))
  end)

  it("ignores Ctrl-Space", function()
    open()
    at:press("C-Space", "Enter")
    at:prompt()
    at:press("C-Space")
    assert.truthy(at:run("x = )"):find("unexpected symbol near ')'", 1, true))
  end)

  it("has px", function()
    open()
    assert.are.equal("9.30", at:run("px.money('9.3')"))
    assert.are.equal(core.version, at:run("px.version"))
  end)

  it("keeps locals for the next inputs, and says so once", function()
    open()
    local note = "local variables of an input stay available in the next ones, by value: a, b"
    assert.are.equal(note, at:run("local a, b = 1, 2"))
    assert.are.equal("", at:run("local c = 3"))
    assert.are.equal("1 2 3", at:run("a .. ' ' .. b .. ' ' .. c"))
    assert.are.equal("", at:run("a = 7"))
    assert.are.equal("7\nnil", at:run("a, _G.a"))
    assert.are.equal("", at:run("local table = {}"))
    assert.are.equal("", at:run(
      "local d <const>, e <const> = 4, 'five' local g <close>, h <const> = nil, 6"))
    assert.are.equal("4\nfive\n6", at:run("d, e, h"))
    assert.truthy(at:run("local i <const> = 7 i = 8"):find(
      "attempt to assign to const variable 'i'", 1, true))
    assert.are.equal("ok", at:run("require('proxylua.settings') and 'ok'"))
  end)

  it("keeps the locals of an input that returns, fails or is aborted, but not those of its blocks",
    function()
    open()
    local note = "local variables of an input stay available in the next ones, by value: a"
    assert.are.equal(note .. "\n1\n2", at:run("local a = 1; return a, 2; -- both"))
    assert.are.equal("stdin:1: boo",
      at:run("local b = 2 for _, a in ipairs{ 5 } do local c = a; error('boo') end"))
    assert.are.equal("1\n2\nnil", at:run("a, b, c"))
    at:run("local function d() return a end local e <const> = d; do local f = 6 end return")
    assert.are.equal("1\n1\nnil", at:run("d(), e(), f"))
    assert.are.equal("8\n9", at:run("if a then return 8, 9 end"))
    at:type("local g = 7 print('begun') while true do end")
    at:press("Enter")
    at:await("\nbegun")
    at:press("C-c")
    at:await("interrupted\npx>")
    assert.are.equal("7", at:run("g"))
  end)

  it("works on after an input has overwritten standard globals", function()
    open()
    at:run("type, next, table, io, os = 'isp', 1, {}, 2, 3")
    assert.are.equal("none", at:run("px.orders.list{ type = type }[1] or 'none'"))
    assert.are.equal("{ 1, { a = 2 } }", at:run("{ 1, { a = next + 1 } }"))
    assert.truthy(at:run("px.orders.get('x')"):find("^not_found"))
  end)

  it("reads an input of several lines as one, and the history keeps it whole", function()
    open()
    at:type("for i = 1, 2 do")
    at:press("Enter")
    at:type("print('line ' .. i)")
    at:press("Enter")
    at:type("end")
    at:press("Enter")
    at:await("line 2\npx>")
    at:press("Up")
    at:await("end\nline 1\nline 2\npx> for i = 1, 2 do\nprint('line ' .. i)\nend")
    at:press("Enter")
    at:await("end\nline 1\nline 2\npx>")
  end)

  it("reads an expression of several lines", function()
    open()
    for _, lines in ipairs{ { "{ 1,", "2 }", "{ 1, 2 }" }, { "1 +", "2", "3" },
      { "('a'):rep(", "2)", "aa" },
      { "[[a", "b]]", "a\nb" } } do
      at:type(lines[1])
      at:press("Enter")
      at:type(lines[2])
      at:press("Enter")
      at:await(("px> %s\n%s\n%s\npx>"):format(table.unpack(lines)))
    end
    assert.truthy(at:run("'a"):find("unfinished string", 1, true))
  end)

  it("prints an error with its line of the user's code, and keeps it in _error", function()
    open{ width = 200 }
    assert.are.equal("stdin:1: boo", at:run("error('boo')"))
    assert.are.equal("stdin:1: boo", at:run("_error"))
    assert.truthy(at:run("px.orders.get('ord_x')"):find("(HTTP 404): Order not found (orders.get",
      1, true))
    assert.are.equal("not_found", at:run("_error.kind"))
    at:run("function f() error('deep') end")
    local text = at:run("f() return 1")
    assert.truthy(text:find(
      "^stdin:1: deep\n  stdin:1: in function 'f'\n  stdin:1: in main chunk$"), text)
  end)

  it("points at the place of a syntax error", function()
    open()
    assert.are.equal("stdin:1: unexpected symbol near '='\n  x = = 3\n      ^", at:run("x = = 3"))
    assert.are.equal("stdin:1: unexpected symbol near '='\n  local s = 'é' = 2\n                ^",
      at:run("local s = 'é' = 2"))
    assert.are.equal("stdin:1: unexpected symbol near '*'\n  1 +* 2\n     ^", at:run("1 +* 2"))
    assert.are.equal("stdin:1: unexpected symbol near ','\n  { 1,, 2 }\n      ^",
      at:run("{ 1,, 2 }"))
    assert.are.equal("stdin:1: unexpected symbol near <eof>", at:run(":time 1 +"))
  end)

  it("shows records and lists of them as tables, with masked passwords", function()
    open()
    at:run("o = px.orders.create{ type = 'isp', quantity = 2, country = 'US', key = 'a' }")
    local order = at:run("o")
    assert.truthy(order:find("\nquantity +2\n"), order)
    local list = at:run("px.orders.list()")
    assert.truthy(list:find("^id +type +quantity +period +country +status +price"), list)
    local proxies = at:run("px.orders.proxies(o.id)")
    assert.truthy(proxies:find("********", 1, true), proxies)
    assert.are.equal("passwords are shown", at:run(":reveal"))
    assert.is_nil(at:run("px.orders.proxies(o.id)"):find("********", 1, true))
    assert.truthy(at:run(":reveal"):find("masked", 1, true))
    local raw = at:run(":json px.orders.proxies(o.id)")
    assert.truthy(raw:find('^%[{"') and raw:find("********", 1, true), raw)
    at:run(":json")
    assert.are.equal('{"a":[1,2]}', at:run("{ a = { 1, 2 } }"))
    assert.are.equal("none found",
      (at:run(":json") and at:run("px.orders.list{ status = 'expired' }")))
  end)

  it("shows all fields of a list's records, and leaves out those first that say least of their "
    .. "kind", function()
    open{ width = 60 }
    at:run("px.orders.create{ type = 'isp', quantity = 2, country = 'US', period = 30 } l = "
      .. "px.orders.list()")
    assert.truthy(at:run("{ { host = 'a', port = 1, works = true } }"):find(
      "^host +port +works\na +1 +true$"))
    at:run("l[1].zone = 'east'")
    local shown = at:run("l")
    assert.truthy(shown:find("^id +type +quantity +status +price"), shown)
    assert.truthy(shown:find("hidden columns: zone, created_at", 1, true), shown)
  end)

  it("shows other tables as Lua writes them, cycles and all", function()
    open()
    assert.are.equal("{ 1, 2, \"three\", { x = 1 } }", at:run("{ 1, 2, 'three', { x = 1 } }"))
    at:run("t = { 1 } t.self = t")
    assert.are.equal("{ 1, self = {…} }", at:run("t"))
    assert.are.equal("{}", at:run("{}"))
    at:run(":json")
    assert.truthy(at:run("t"):find("not JSON", 1, true))
    assert.truthy(at:run("{ a = setmetatable({ t = nil }, { __metatable = 1 }) }"):find('{"a":{}}',
      1, true))
    at:run("u = { a = { b = {} } } u.a.b.c = u")
    assert.truthy(at:run("u"):find("a.b.c is a table that it lies in: the value contains itself", 1,
      true))
  end)

  it("cuts long tables", function()
    open{ height = 80 }
    at:run("l = {} for i = 1, 1000 do l[i] = { id = i } end")
    assert.truthy(at:run("l"):find("\n50\n… 950 more; :json shows all, list[51] one", 1, true))
  end)

  it("calls nothing of a value's but its __tostring, which Ctrl-C aborts too", function()
    open()
    at:run("t = setmetatable({ 1 }, { __index = error, __len = error, __pairs = error })")
    assert.are.equal("{ 1 }", at:run("t"))
    at:run("bad = setmetatable({}, { __tostring = function() print('beg' .. 'un') while true do "
      .. "end end })")
    at:type("bad")
    at:press("Enter")
    at:await("begun")
    at:press("C-c")
    at:await("interrupted")
    assert.are.equal("3", at:run("1 + 2"))
  end)

  it("leaves no bytes in what it shows that a terminal would obey", function()
    open()
    assert.are.equal("a?[2Jb", at:run("'a\\27[2Jb'"))
    assert.are.equal("{ \"\\27[2J\" }", at:run("{ '\\27[2J' }"))
    assert.are.equal("a?b", at:run("'a\\u{202E}b'"))
    assert.are.equal('["\\u009b2J \\u202e\\u007fé"]',
      at:run(":json { '\\u{9B}2J \\u{202E}\\x7Fé' }"))
  end)

  it("shows bytes that are not text, and cuts wide characters at the edge of the screen", function()
    open{ width = 40 }
    assert.are.equal('a  { "caf\\233" }', at:run("{ a = { 'caf\\xE9' } }"))
    assert.are.equal("a  " .. ("東"):rep(18) .. "…", at:run("{ a = ('東'):rep(30) }"))
  end)

  it("has commands, and suggests the nearest", function()
    open{ height = 60 }
    assert.truthy(at:run(":help"):find(":journal", 1, true))
    assert.truthy(at:run(":help exit-codes"):find("outcome_unknown", 1, true))
    for _, call in ipairs{ "px.orders.create", "orders.create",
      "px.orders.create{ type = 'isp' }" } do
      assert.truthy(at:run(":help " .. call):find("^px.orders.create%(params%)\n\nBuys proxies"),
        call)
    end
    assert.truthy(at:run(":help px.journal.each"):find("^px.journal.each%("))
    assert.truthy(at:run(":help orders create"):find("^Usage: proxylua orders create"))
    assert.truthy(at:run(":help :load"):find("FILE", 1, true))
    assert.truthy(at:run(":help confg"):find("did you mean config?", 1, true))
    assert.truthy(at:run(":time px.sleep(0.01)"):find("^0.%d+ s, 0.%d+ s of them computing$"))
    assert.truthy(at:run(":limits"):find("general", 1, true))
    assert.are.equal("none found", at:run(":journal"))
    at:run("px.orders.create{ type = 'isp', quantity = 1, country = 'US', key = 'k1' }")
    local journal = at:run(":journal")
    assert.truthy(journal:find("^id +key +endpoint +state +quote [^\n]+created_at\n 1 +k1 [^\n]+$"),
      journal)
    assert.are.equal("none found", at:run(":tasks"))
    assert.truthy(at:run(":jurnal"):find("did you mean :journal?", 1, true))
    at:type(":quit")
    at:press("Enter")
    at:await("exit 0")
  end)

  it("names the columns that a narrow window hides", function()
    open{ width = 40 }
    assert.truthy(at:run(":limits"):find("hidden columns: paced, paused", 1, true))
  end)

  it("has no figures of limits that are off", function()
    open({}, { "--sandbox", "--limits", "off", "--quiet" })
    local text = at:run(":limits")
    assert.truthy(text:find(
      "^limits are off; pauses are respected\nscope +paused\ngeneral +0.0\norders +0.0$"), text)
  end)

  it("has help as wide as the terminal", function()
    open{ width = 80, height = 60 }
    local text = at:run(":help")
    assert.truthy(text:find("statements to run them. Incomplete input\ncontinues", 1, true), text)
    assert.truthy(text:find("\n  :load FILE              run a file", 1, true), text)
    at:close()
    open{ width = 50, height = 60 }
    text = at:run(":help")
    assert.truthy(text:find("or statements\nto run them", 1, true), text)
    assert.truthy(text:find("\n  :load FILE\n      run a file", 1, true), text)
  end)

  it("loads a file, whose globals stay", function()
    open()
    program.write(at.folder .. "/some.lua",
      "#!/usr/bin/env proxylua\nprint(px.money(1))\nfunction double(n) return n * 2 end\n")
    assert.are.equal("1.00", at:run(":load ~/some.lua"))
    assert.are.equal("8", at:run("double(4)"))
    program.write(at.folder .. "/bad.lua", "x = 1\nx = = 2\n")
    assert.truthy(at:run(":load ~/bad.lua"):find("bad.lua:2:", 1, true))
    assert.truthy(at:run(":load ~/none.lua"):find("cannot read", 1, true))
  end)

  it("has colours by default", function()
    open()
    at:type("error('boo')")
    at:press("Enter")
    at:await("boo\npx>")
    assert.truthy(at:screen(true):find("\27%[31m"))
    at:close()
    for _, how in ipairs{ { env = { NO_COLOR = "1" } }, { flag = "--no-color" } } do
      open({ env = how.env }, { "--quiet", how.flag })
      at:type("error('boo')")
      at:press("Enter")
      at:await("boo\npx>")
      assert.is_nil(at:screen(true):find("\27%[31m"))
      if not how.flag then at:close() end
    end
  end)

  it("runs a script on standard input instead", function()
    local result = program.run({}, { stdin = "print(1 + 1)" })
    assert.are.same({ 0, "2\n", "" }, { result.code, result.out, result.err })
  end)

  it("ends with Ctrl-D, and cancels what runs", function()
    open()
    at:run("t = px.every(0.05, function() end)")
    at:run("px.spawn(function() while true do pcall(px.sleep, 5) end end)")
    at:press("C-d")
    at:await("exit 0")
  end)

  it("ends with its terminal, and with SIGTERM", function()
    open()
    at:run("px.spawn(function() while true do px.sleep(5) end end)")
    local pid = at:pid()
    assert(os.execute("kill -TERM " .. pid))
    at:await("exit 130")
    at:close()
    open{ env = { ASAN_OPTIONS = "detect_leaks=0" } } -- see Terminal:close
    pid = at:pid()
    at:type("while true do end")
    at:press("Enter")
    at:tmux("kill-server")
    terminal.await_end(pid)
    at = nil
  end)

  it("ends on SIGTERM right after a line was typed, and after any error of a statement", function()
    open()
    local pid = at:pid()
    assert(os.execute("kill -STOP " .. pid)) -- it finds the line and the signal at once
    at:type("while true do end")
    at:press("Enter")
    assert(os.execute(("kill -TERM %s; kill -CONT %s"):format(pid, pid)))
    at:await("exit 130")
    at:close()
    open()
    at:run("bad = setmetatable({}, { __tostring = function() while true do end end })")
    at:type("print('beg' .. 'un') while true do local ok = pcall(px.sleep, 100) if not ok then "
      .. "error(bad) end end")
    at:press("Enter")
    at:await("begun")
    assert(os.execute("kill -TERM " .. at:pid()))
    at:await("exit 130")
  end)

  it("drops the line on Ctrl-C, and not what is typed behind it", function()
    open()
    local pid = at:pid()
    at:type("1 +")
    at:await("px> 1 +")
    assert(os.execute("kill -STOP " .. pid))
    at:type("40 + 2")
    at:press("Enter")
    assert(os.execute(("kill -INT %s; kill -CONT %s"):format(pid, pid)))
    at:await("42")
  end)

  it("works in a narrow window and on a dumb terminal", function()
    open{ width = 20, height = 10 }
    at:type("1 + 22222222222222222")
    at:press("Enter")
    at:await("22222222222222223")
    at:close()
    open{ env = { TERM = "dumb" } }
    at:type("(1 +")
    at:press("Enter")
    at:await("..>")
    at:type("2) * 5")
    at:press("Enter")
    at:await("\n15\npx>")
    at:press("C-c")
    at:await(function(screen) return select(2, screen:gsub("px>", "")) == 3 end)
    at:press("C-d")
    at:await("exit 0")
  end)
end)
