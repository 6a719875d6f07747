-- Scripts whose C modules call fork(), as lua-posix does.

local core = require "proxylua.core"
local program = require "spec.support.program"

local module = core.system.real_path("build/spec/forking.so")

-- Runs a script that forks after `before`: the child runs `child`. Returns the result.
local function run(before, child)
  return program.run({ "--sandbox", "-e", ([[
    package.cpath = %q
    local fork, px = require "forking", require "proxylua"
    %s
    local function split()
      local id = fork.start()
      if id == 0 then
        %s
        return
      end
      print("parent", fork.finish(id))
      return px.account.get().balance ~= nil and px.sleep(0)
    end
    local task = px.spawn(split)
    task:join()]]):format(module, before, child) })
end

local refused = "px does not work in a child of fork%(%)"

describe("a child of fork() in a C module", function()
  it("ends with its own exit code, in each way to end", function()
    for _, before in ipairs{ "", "px.account.get()", "px.journal.each()()",
      "px.spawn(px.sleep, 0.05)" } do
      for code, child in pairs{ [0] = "", [7] = "os.exit(7)", [8] = "os.exit(8, true)",
        [1] = "error('child')" } do
        local result = run(before, child)
        assert.same({ 0, ("parent\t%d\n"):format(code) }, { result.code, result.out },
          before .. child .. result.err)
        assert.equal(code == 1, result.err:find("child", 1, true) ~= nil)
      end
    end
  end)

  it("gets a usage error from each px call that waits, asks the store or starts a process",
    function()
      for _, call in ipairs{ "px.sleep(0)", "px.account.get()", "px.journal.each()()",
        "px.http.get('http://127.0.0.1:9/')", "px.spawn(print)", "px.map({ 1 }, print)",
        "px.timeout(1, print)", "px.limits()", "task:join()" } do
        local result = run("local task = px.spawn(px.sleep, 0.05) px.account.get()",
          ("print(select(2, pcall(function() return %s end)))"):format(call))
        assert.matches(refused, result.out, call)
        assert.matches("parent\t0", result.out, 1, true, call)
      end
    end)

  it("writes what it has printed once, and runs no other task", function()
    local result = run("px.spawn(function() px.sleep(0.01) print 'other' end)",
      "print 'child' io.stdout:write('more\\n')")
    assert.equal("child\nmore\nparent\t0\nother\n", result.out)
  end)

  it("ends at a signal like the parent", function()
    local result = run("", "fork.raise(2) while true do pcall(px.sleep, 1) end")
    assert.matches("^parent\t130\n$", result.out)
  end)
end)
