-- src/main.c: what the process is before any script runs, and how signals end it.

local core = require "proxylua.core"
local program = require "spec.support.program"

describe("the program", function()
  local home
  before_each(function() home = program.folder() end)
  after_each(function() program.remove(home) end)

  local function start(code, shell)
    return ((shell or "%s"):format(program.command(home,
      { "-e", "local px = require 'proxylua' " .. code })))
  end

  it("lets no file take the place of a closed standard stream", function()
    local line =
      start(("local f = io.open(%q, 'w') io.stderr:write('stray') print('stray') f:write('own') "
        .. "f:close()")
      :format(home .. "/f"), "{ %s; } <&- >&- 2>&-")
    os.execute(line)
    assert.equal("own", program.read(home .. "/f"))
  end)

  it("may have as many descriptors as it is allowed", function()
    local code =
      "for l in io.lines('/proc/self/limits') do if l:find('open files') then print(l) end end"
    local pipe = io.popen("ulimit -Sn 64; " .. start(code))
    local soft, hard = pipe:read("a"):match("(%d+)%s+(%d+)")
    pipe:close()
    assert.equal(hard, soft)
  end)

  -- The loader fails where it comes across an empty file.
  it("opens libcurl for the first request only, and names it if that fails", function()
    program.write(home .. "/libcurl.so.4", "")
    local env = { LD_LIBRARY_PATH = home, PROXYLUA_BASE_URL = "", PROXYLUA_API_KEY = "sk_live_1" }
    local function run(...)
      local result = program.run({ ... }, { env = env })
      return result.code, result.out, result.err
    end
    for _, args in ipairs{ { "-e", "" }, { "--version" }, { "--help" }, { "orders", "--help" },
      { "completion", "words", "--", "orders", "l" }, { "journal", "list" } } do
      local code, _, err = run(table.unpack(args))
      assert.are.same({ 0, "" }, { code, err })
    end
    local missing = "an HTTP request needs the library libcurl.so.4, which cannot be opened ("
    for _, args in ipairs{ { "orders", "list" }, { "--base-url", "https://a.example", "-e", "" },
      { "-e", "require('proxylua').http.get('http://127.0.0.1/', { headers = { a = 'b' } })" },
    } do
      local code, _, err = run(table.unpack(args))
      assert.are.equal(2, code)
      assert.matches(missing, err, 1, true)
      assert.matches("(Debian: libcurl4)", err, 1, true)
    end
  end)

  it("survives a broken pipe, and the programs that it starts die of one", function()
    local code = "os.execute('kill -PIPE $PPID') io.popen('kill -PIPE $$; echo alive >&2'):close() "
      .. "io.stderr:write('on')"
    os.execute(start(code) .. " 2>" .. home .. "/err")
    assert.equal("on", program.read(home .. "/err"))
  end)

  -- Starts code that says "ready", sends it signals, and returns its exit code and output.
  local function interrupted(code, ...)
    local line = start("io.stdout:write('ready\\n') io.stdout:flush() " .. code)
    local pipe = io.popen(("sh -c %s 2>%s/err; echo $?"):format(
      program.quote("echo $$; exec " .. line), home))
    local pid = pipe:read("l")
    assert.equal("ready", pipe:read("l"))
    for _, signal in ipairs{ ... } do
      os.execute(("kill -%s %s"):format(signal, pid))
      core.task.sleep(0.2)
    end
    local exit = tonumber(pipe:read("l"))
    pipe:close()
    return exit, program.read(home .. "/err")
  end

  for name, code in pairs{ computes = "while true do end", waits = "px.sleep(60)",
    sorts = "table.sort({ 3, 1, 2 }, function() px.sleep(60) end)" } do
    for _, signal in ipairs{ "INT", "TERM" } do
      it(("ends with 130 on SIG%s where it %s, and prints where"):format(signal, name), function()
        local exit, err = interrupted(code, signal)
        assert.equal(130, exit)
        assert.matches("interrupted", err)
        assert.matches("(command line):1", err, 1, true)
      end)
    end
  end

  for name, code in pairs{ waits = "while true do pcall(px.sleep, 60) end",
    computes = "while true do pcall(function() while true do end end) end",
    ["runs coroutines"] = "while true do pcall(coroutine.wrap(function() px.sleep(60) end)) end",
    ["starts tasks"] = "while true do pcall(px.all, { function() px.sleep(60) end }) end" } do
    it(("ends at the first signal where it %s and catches every error"):format(name), function()
      for _, signal in ipairs{ "INT", "TERM" } do
        local exit, err = interrupted(code, signal)
        assert.equal(130, exit)
        assert.matches("(command line):1", err, 1, true)
      end
    end)
  end

  for name, code in pairs{
    ["stays in a function of C"] = "local _ = ('a'):rep(100):find(('a-'):rep(100) .. 'b')",
    ["computes in a finalizer"] =
      "setmetatable({}, { __gc = function() while true do end end }) collectgarbage()" } do
    it(("ends with 130 at the first signal where it %s"):format(name), function()
      for _, signal in ipairs{ "INT", "TERM" } do
        local exit, err = interrupted(code, signal)
        assert.equal(130, exit)
        assert.matches("^proxylua: cancelled: interrupted\n", err)
      end
    end)
  end

  it("ends at the second signal even if the script catches every error", function()
    local exit = interrupted("setmetatable({}, { __gc = function() while true do end end }) "
      .. "while true do collectgarbage() end", "INT", "INT")
    assert.equal(130, exit)
  end)
end)
