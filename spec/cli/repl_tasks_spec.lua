-- What runs at a real terminal: statements that Ctrl-C aborts, tasks behind the prompt, questions.

local core = require "proxylua.core"
local program = require "spec.support.program"
local terminal = require "spec.support.terminal"

describe("a statement", function()
  local at

  before_each(function()
    at = terminal.open{ "--sandbox", "--spend", "100", "--quiet" }
    at:prompt()
  end)

  after_each(function() at:close() end)

  local function interrupt(code)
    at:run("x = 42")
    at:type(code:gsub("BEGUN", "print('beg' .. 'un')"))
    at:press("Enter")
    at:await("begun")
    at:press("C-c")
    at:await(function(screen) return screen:find("interrupted") and screen:find("\npx>$") end)
    assert.are.equal("42", at:run("x"))
  end

  it("waits, and lets tasks run", function()
    assert.are.equal("1000.00", at:run("px.account.get().balance"))
    -- On a busy machine a tick that was due before the cancel may still print.
    assert.has.match("^tick\ntick\n.*7", at:run(
      "(function() local t = px.every(0.05, function() print('tick') end) px.sleep(0.08) "
        .. "t:cancel() return 7 end)()"))
  end)

  it("is aborted by Ctrl-C: an infinite loop", function()
    interrupt("BEGUN while true do end")
  end)

  it("in the midst of C code cannot be aborted, and Ctrl-C says so", function()
    at:type("print('beg' .. 'un') print((('a'):rep(40):find(('a?'):rep(40) .. ('a'):rep(40))), "
      .. "'matched')")
    at:press("Enter")
    at:await("begun")
    local pid = at:pid()
    at:press("C-c")
    at:await("a call that cannot be aborted")
    at:press("C-\\")
    terminal.await_end(pid)
  end)

  it("in the midst of C code ends with the terminal", function()
    at:type("print('beg' .. 'un') print((('a'):rep(40):find(('a?'):rep(40) .. ('a'):rep(40))), "
      .. "'matched')")
    at:press("Enter")
    at:await("begun")
    local pid = at:pid()
    os.execute("kill -HUP " .. pid)
    terminal.await_end(pid)
  end)

  it("is aborted by Ctrl-C: a wait, alone and among others", function()
    interrupt("BEGUN px.sleep(1000)")
    at:press("C-l")
    interrupt("BEGUN px.all{ function() px.sleep(1000) end, function() px.sleep(1000) end }")
    assert.are.equal("none found", at:run(":tasks"))
    at:press("C-l")
    interrupt("BEGUN px.all{ function() px.sleep(1000) end, function() while true do end end }")
    assert.are.equal("none found", at:run(":tasks"))
  end)

  it("is aborted by Ctrl-C though it catches errors", function()
    interrupt("BEGUN while true do pcall(px.sleep, 5) end")
    at:press("C-l")
    interrupt("BEGUN while true do pcall(function() while true do end end) end")
  end)

  it("is aborted by Ctrl-C in a coroutine, and where Lua cannot yield", function()
    interrupt("BEGUN coroutine.wrap(function() while true do pcall(px.sleep, 5) end end)()")
    at:press("C-l")
    interrupt("BEGUN table.sort({ 3, 2, 1 }, function(a, b) px.sleep(1000) return a < b end)")
  end)

  it("is aborted by Ctrl-C in the message handler of an xpcall, and in what calls one", function()
    interrupt("xpcall(error, function() BEGUN while true do end end)")
    at:press("C-l")
    interrupt("xpcall(function() BEGUN while true do end end, function() while true do end end)")
    assert.are.equal("false   <boo>",
      at:run("print(xpcall(error, function(e) return '<' .. e .. '>' end, 'boo'))"))
    assert.truthy(at:run("xpcall(error)"):find("bad argument #2", 1, true))
  end)

  it("in a finalizer cannot be aborted, and Ctrl-C says so", function()
    at:type("setmetatable({}, { __gc = function() print('beg' .. 'un') while true do end end }) "
      .. "collectgarbage()")
    at:press("Enter")
    at:await("begun")
    local pid = at:pid()
    at:press("C-c")
    at:await("a finalizer (__gc)")
    at:press("C-\\")
    terminal.await_end(pid)
  end)

  it("closes its variables when it is aborted", function()
    at:run("closed = 0")
    at:run("guard = setmetatable({}, { __close = function() closed = closed + 1 end })")
    interrupt("local v <close> = guard BEGUN px.sleep(1000)")
    assert.are.equal("1", at:run("closed"))
  end)
end)

describe("a charge", function()
  local sandbox = require "spec.support.sandbox"
  local world, at

  before_each(function()
    world = sandbox.start()
    at = terminal.open({ "--spend", "100", "--quiet" }, {
      env = {
        PROXYLUA_BASE_URL = world.url, PROXYLUA_API_KEY = world.key, PROXYLUA_LIMITS = "off",
          PROXYLUA_SETTLE = "0.1s",
      },
    })
    at:prompt()
  end)

  after_each(function()
    at:close()
    world:stop()
  end)

  it("that is aborted while it is sent is reported as such, with its outcome", function()
    world:change("settings", { faults = { "orders.create:delay=2" } })
    at:type("px.orders.create{ type = 'isp', quantity = 1, country = 'US', key = 'k' }")
    at:press("Enter")
    local ends = core.task.clock() + 30
    repeat core.task.sleep(0.01) until world:look("counters").sold > 0 or core.task.clock() > ends
    at:press("C-c")
    at:await("cancelled while a charge was under way")
    at:type("typed")
    at:await("px> typed")
    at:await("with key k, which was cancelled")
    at:await("px> typed")
    at:press("C-c")
    at:prompt()
    assert.truthy(at:run(":journal"):find("placed", 1, true))
  end)
end)

describe("behind the prompt", function()
  local at

  before_each(function()
    at = terminal.open{ "--sandbox", "--spend", "100", "--quiet" }
    at:prompt()
    at:run(
      "function wait() while not io.open(os.getenv('HOME') .. '/go') do px.sleep(0.01) end end")
  end)

  -- Lets what waits go on.
  local function go()
    program.write(at.home .. "/go", "")
  end

  after_each(function() at:close() end)

  it("tasks go on, and what they print does not tear the line", function()
    at:run(
      "n = 0 t = px.every(0.02, function() n = n + 1 if n <= 5 then print('out ' .. n) end end)")
    at:type("local typed = 'while it")
    at:await("out 5\npx> local typed = 'while it")
    at:type(" prints'")
    local screen = at:await("px> local typed = 'while it prints'")
    for number = 1, 5 do
      assert.are.equal(1, select(2, screen:gsub("\nout " .. number .. "\n", "\n\n")), screen)
    end
    at:press("Enter")
    at:await("stay available in the next")
    assert.are.equal("while it prints", at:run("typed"))
  end)

  it("output of all kinds comes above the line, in its order", function()
    at:run("px.spawn(function() wait() print('a') io.stderr:write('b ') os.execute('echo c') "
      .. "io.write('d') end)")
    at:type("'typed'")
    at:await("px> 'typed'")
    go()
    at:await("\na\nb c\nd\npx> 'typed'")
  end)

  it("a failure is reported, and the session goes on", function()
    at:run("px.spawn(function() px.sleep(0.1) error('boo') end)")
    at:type("1 + 1")
    at:await("a task failed: stdin:1: boo\npx> 1 + 1")
    at:press("Enter")
    at:await("\n2\npx>")
    assert.are.equal("stdin:1: boo", at:run("_error"))
  end)

  it("a reported failure can still be joined", function()
    at:run("t = px.spawn(function() error('boo') end)")
    at:await("a task failed")
    assert.are.equal("false   stdin:1: boo", at:run("print(pcall(t.join, t))"))
  end)

  it("tasks are listed and cancelled", function()
    at:run("px.every(100, function() end)")
    local number = at:run(":tasks"):match("\n%s*(%d+)%s+waiting%s+stdin:1")
    assert.truthy(number)
    assert.are.equal("cancelled", at:run(":cancel " .. number))
    assert.are.equal("none found", at:run(":tasks"))
    assert.truthy(at:run(":cancel 999"):find("task 999 does not exist", 1, true))
  end)

  it("a task that does not come back is aborted by Ctrl-C", function()
    -- A busy task draws nothing, so a file shows that it runs.
    at:run("function begin() io.open(os.getenv('HOME') .. '/begun', 'w'):close() end")
    at:type("px.spawn(function() begin() while true do end end)")
    at:press("Enter")
    local ends = core.task.clock() + 30
    repeat
      core.task.sleep(0.005)
      local file = io.open(at.home .. "/begun")
      if file then file:close() end
    until file or core.task.clock() > ends
    at:press("C-c")
    at:await("a task failed: cancelled: interrupted")
    assert.are.equal("2", at:run("1 + 1"))
  end)

  it("a task that ends the program leaves the terminal as it was", function()
    at:run("px.spawn(function() px.sleep(0.1) print('last') os.exit(7) end)")
    at:await("last")
    at:await("exit 7")
    at:type("seen")
    at:await("seen")
  end)

  it("a question is asked above the line, and Enter means no", function()
    at:run("ask = require('proxylua.repl').ask")
    at:run("px.spawn(function() wait() print('answer: ' .. tostring(ask('Buy it?'))) end)")
    at:type("typed")
    at:await("px> typed")
    go()
    at:await("\nBuy it? [y/N]")
    at:type("y")
    at:press("Enter")
    at:await("Buy it? [y/N] y\nanswer: true\npx> typed")
    at:press("C-c")
    at:await("typed^C")
    at:type("ask('Really?')")
    at:press("Enter")
    at:await("Really? [y/N]")
    at:press("Enter")
    at:await("Really? [y/N]\nfalse\npx>")
  end)

  it("questions come one at a time, and Ctrl-C refuses", function()
    at:run("ask = require('proxylua.repl').ask")
    at:type("print(table.unpack(px.all{ function() return ask('One?') end, function() return "
      .. "ask('Two?') end }))")
    at:press("Enter")
    at:await("One? [y/N]")
    at:type("yes")
    at:press("Enter")
    at:await("Two? [y/N]")
    at:type("n")
    at:press("Enter")
    at:await("true    false\npx>")
    at:type("ask('Three?')")
    at:press("Enter")
    at:await("Three? [y/N]")
    at:press("C-c")
    at:await("interrupted\npx>")
    assert.are.equal("2", at:run("1 + 1"))
  end)
end)
