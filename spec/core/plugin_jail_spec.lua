-- A plugin's process from the outside: what crosses, and what does not get out however it is tried.
-- After each attempt the parent goes on, and so does another plugin.

local core = require "proxylua.core"
local host = require "proxylua.plugin.host"
local program = require "spec.support.program"
local px = require "proxylua"

local started = {}

-- A plugin whose main module returns a table M that `code` fills in.
local function start(code, options)
  local main = ('local px = require "proxylua" local M = {}\n%s\nreturn M'):format(code or "")
  local spec = { name = "trial", modules = { ["main.lua"] = main } }
  for name, value in pairs(options or {}) do spec[name] = value end
  local instance = host.start(spec)
  started[#started + 1] = instance
  return instance
end

-- What one function does.
local function run(body, options)
  return start("function M.run(...) " .. body .. " end", options):call("run")
end

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

-- The error of a plugin that is ended for what it does.
local function ended(code, body, options)
  local instance = start("function M.run(...) " .. body .. " end", options)
  local err = failure(instance.call, instance, "run")
  assert.is_true(px.error.is(err), tostring(err))
  assert.are.equal(code, err.code, tostring(err))
  assert.are.equal(code, instance:ended().code)
  assert.are.equal(code, failure(instance.call, instance, "run").code)
  assert.are.equal(3, run("return 1 + 2"))
end

describe("a plugin", function()
  after_each(function()
    for _, instance in ipairs(started) do instance:close() end
    started = {}
  end)

  it("returns copies of values to calls", function()
    local plugin = start("function M.echo(...) return ... end")
    local list = { 1, 2.5, "a\0b", { x = { y = true, [7] = "seven" } }, math.mininteger,
      math.maxinteger }
    local first, second, third = plugin:call("echo", list, nil, false)
    assert.are.same(list, first)
    assert.are_not.equal(list, first)
    assert.are.same({ n = 2 }, { n = select("#", second, third) })
    assert.is_false(third)
    assert.are.equal(px.money("-9.30000001"), (plugin:call("echo", px.money("-9.30000001"))))
    assert.are.equal("[]", px.json.encode((plugin:call("echo", px.json.array{}))))
    assert.are.equal(0, select("#", plugin:call("echo")))
  end)

  it("refuses what cannot cross, on both sides", function()
    local plugin = start(
      "function M.echo(...) return ... end function M.bad() return { f = print } end")
    local circle = {}
    circle.circle = circle
    assert.are.equal("usage", failure(plugin.call, plugin, "echo", circle).kind)
    assert.are.equal("usage", failure(plugin.call, plugin, "echo",
      { coroutine.create(print) }).kind)
    assert.matches("a function", tostring(failure(plugin.call, plugin, "bad")))
    assert.are.equal("usage", failure(plugin.call, plugin, "echo", ("x"):rep(17 << 20)).kind)
    assert.are.equal(5, (plugin:call("echo", 5)))
  end)

  it("raises what the plugin raises", function()
    local plugin = start[[
      function M.text() error("no luck") end
      function M.value() px.error.raise{ kind = "funds", message = "broke" } end
      function M.odd() error(setmetatable({}, { __tostring = function() return "odd one" end })) end
      function M.worse() error(setmetatable({}, { __tostring = error })) end
      function M.stopped() local task = px.spawn(px.sleep, 60) task:cancel() task:join() end]]
    assert.matches("plugin trial: trial/main.lua:%d+: no luck",
      failure(plugin.call, plugin, "text"))
    assert.matches("odd one", failure(plugin.call, plugin, "odd"))
    assert.matches("without a text", failure(plugin.call, plugin, "worse"))
    assert.are.equal("plugin trial: a task of its own was cancelled",
      failure(plugin.call, plugin, "stopped"))
    assert.are.equal("usage", failure(plugin.call, plugin, "nothing").kind)
    assert.matches("main.lua:3: .*expected", failure(start, "function M.x("))
  end)

  it("raises errors with its name, and with kinds that proxylua has raised in it", function()
    local plugin = start([[
      function M.value() px.error.raise{ kind = "outcome_unknown", message = "one\nproxylua: two",
        charge = "made", details = { 1 } } end
      function M.own() px.error.raise{ kind = "forbidden", message = "own", charge = "unknown" } end
      function M.refused() px.orders.list() end]])
    local err = failure(plugin.call, plugin, "value")
    assert.same({ "internal", "plugin trial: one\n  proxylua: two", { 1 } },
      { err.kind, err.message, err.details })
    assert.is_nil(err.charge)
    assert.equal("internal", failure(plugin.call, plugin, "own").kind)
    err = failure(plugin.call, plugin, "refused")
    assert.equal("forbidden", err.kind)
    assert.matches("^plugin trial: ", err.message)
    err = failure(plugin.call, plugin, "own")
    assert.same({ "forbidden", "plugin trial: own" }, { err.kind, err.message })
    assert.is_nil(err.charge)
  end)

  it("waits while others run, in each place where its Lua code runs", function()
    local plugin = start[[
      function M.sleep(s) px.sleep(s) return s end
      function M.sort() local l = { 3, 1, 2 } table.sort(l, function(a, b) px.sleep(0) return a < b end) return l end
      function M.wrap() return coroutine.wrap(function() px.sleep(0) coroutine.yield(7) end)() end
      function M.all() return px.all{ function() px.sleep(0.01) return 1 end, function() return 2 end } end
      function M.map() return px.map({ 1, 2, 3 }, function(n) px.sleep(0) return n * n end, { concurrency = 2 }) end
      function M.timeout() return select(2, px.try(px.timeout, 0.01, px.sleep, 60)).kind end]]
    local long = px.spawn(plugin.call, plugin, "sleep", 60)
    assert.are.equal(0.001, (plugin:call("sleep", 0.001)))
    assert.are.same({ 1, 2, 3 }, (plugin:call("sort")))
    assert.are.equal(7, (plugin:call("wrap")))
    assert.are.same({ 1, 2 }, (plugin:call("all")))
    assert.are.same({ 1, 4, 9 }, (plugin:call("map")))
    assert.are.equal("timeout", (plugin:call("timeout")))
    long:cancel()
    assert.are.equal("cancelled", failure(long.join, long).kind)
    assert.are.same({ 1, 2 }, (plugin:call("all")))
  end)

  it("that waits for ever while it is loaded is given up", function()
    local err = failure(px.timeout, 20, host.start, { name = "trial", start = 0.05, modules = {
      ["main.lua"] = "require('proxylua').sleep(1e6)" } })
    assert.are.equal("timeout", err.kind)
    assert.matches("the plugin trial could not be loaded: ", err.message, 1, true)
  end)

  it("takes hundreds of its questions back, begun or not, and goes on asking", function()
    local plugin = start[[
      function M.again(count)
        for _ = 1, count do
          local list = { [100] = function() error("enough") end }
          for at = 1, 99 do list[at] = function() px.sleep(60) end end
          assert(not pcall(px.all, list))
        end
        px.sleep(0)
        return count
      end]]
    assert.are.equal(10, (px.timeout(20, plugin.call, plugin, "again", 10)))
  end)

  it("streams rows both ways", function()
    local plugin = start[[
      function M.count(rows) local n = 0 for row in rows do n = n + row.id end return n end
      function M.rows(n) local i = 0 return function() i = i + 1 if i <= n then return { id = i }
        end end end]]
    local at, sum = 0, 0
    for row in plugin:call("rows", 1234) do sum = sum + row.id end
    assert.are.equal(1234 * 1235 // 2, sum)
    assert.are.equal(sum, plugin:call("count", function()
      at = at + 1
      if at <= 1234 then return { id = at } end
    end))
  end)

  it("has modules of its own, commands and events", function()
    local plugin = start(nil, {
      modules = {
        ["main.lua"] = 'return { go = function(o) return require("lib.part").twice(o.n) end }',
        ["lib/part.lua"] =
          "return { twice = function(n) return 2 * n end, seen = function(e) error(e.id) end }",
      },
      manifest = { commands = { go = { run = "go" } }, on = { order_placed = "lib.part.seen" } },
    })
    assert.are.equal(42, (plugin:command("go", { n = 21 })))
    assert.matches("ord_1", failure(plugin.event, plugin, "order_placed", { id = "ord_1" }))
    assert.is_false(plugin:event("balance_low", {}))
    assert.are.equal("usage", failure(plugin.command, plugin, "stop").kind)
  end)

  it("ends with its parent, which is notified when it dies", function()
    local plugin = start("function M.wait() px.sleep(60) end")
    local waiting = px.spawn(plugin.call, plugin, "wait")
    px.sleep(0)
    local pid = plugin.process:pid()
    os.execute("kill -KILL " .. pid)
    assert.are.equal("plugin_ended", failure(waiting.join, waiting).code)
    assert.is_nil(core.system.kind("/proc/" .. pid))
  end)
end)

describe("escapes from a plugin", function()
  after_each(function()
    for _, instance in ipairs(started) do instance:close() end
    started = {}
  end)

  it("has no system calls but those for memory, its socket and its end", function()
    local pipe = assert(io.popen("build/spec/jail_check"))
    local said = pipe:read("a")
    assert.is_truthy(pipe:close(), said)
    assert.is_true(tonumber(said:match("^(%d+) attempts\n$")) > 600, said)
  end)

  it("finds no files, loaders or debug library among its globals", function()
    local names = run[[
      local list = {}
      for name in pairs(_G) do list[#list + 1] = name end
      table.sort(list)
      return table.concat(list, " ") .. " | " .. table.concat((function()
        local l = {} for n in pairs(os) do l[#l + 1] = n end table.sort(l) return l end)(), " ")]]
    assert.are.equal("_G _VERSION assert collectgarbage coroutine error getmetatable ipairs load "
      .. "math next os pairs "
      .. "pcall print rawequal rawget rawlen rawset require select setmetatable string table "
      .. "tonumber tostring type "
      .. "utf8 xpcall | clock date difftime time", names)
    for _, name in ipairs{ "debug", "package", "io", "proxylua.core", "proxylua.plugin.guest",
      "../main", "/x" } do
      assert.matches("has no module", failure(run, ("return require %q"):format(name)))
    end
  end)

  it("loads no bytecode", function()
    local code = string.dump(function() return "ran" end)
    local plugin = start[[
      function M.load(code, mode) return load(code, "x", mode) end
      function M.pieces(code) local sent return load(function() if sent then return nil end sent = true return code end) end
      function M.dump() return string.dump end]]
    for _, mode in ipairs{ "b", "bt", "t" } do
      local fn, why = plugin:call("load", code, mode)
      assert.is_nil(fn)
      assert.matches("binary chunk", why)
    end
    assert.is_nil((plugin:call("pieces", code)))
    assert.is_nil((plugin:call("dump")))
    assert.matches("binary chunk", failure(start, nil, { modules = { ["main.lua"] = code } }))
  end)

  it("sees neither environment nor files nor processes through what is left", function()
    assert.matches("^%d+ 1970%-01%-01 00:00:00",
      run[[return os.time() .. " " .. os.date("%Y-%m-%d %H:%M:%S", 0)]])
    for _, call in ipairs{ "px.files.read('/proc/self/environ')", "px.files.write('/tmp/x', '')",
      "px.env('HOME')",
      "px.http.get('http://127.0.0.1/')", "px.account.get()", "px.request{ path = '/account' }",
        "px.limits()",
      "px.orders.create{ type = 'isp', quantity = 1 }",
        "px.deposits.create_address{ currency = 'BTC' }" } do
      local err = failure(run, "return " .. call)
      assert.are.equal("forbidden", err.kind, call .. ": " .. tostring(err))
    end
    for _, name in ipairs{ "journal", "fleet", "deposits.request", "deposits.wait" } do
      local err = failure(run, "return px." .. name)
      assert.are.equal("usage", err.kind)
      assert.matches("px." .. name .. " is not available in plugins", err.message, 1, true)
    end
  end)

  it("is ended for computing without end, however it is hidden", function()
    px.map({
      "while true do pcall(error) end",
      "setmetatable({}, { __gc = function() while true do end end }) collectgarbage()",
      ("return (%q):find(%q)"):format(("a"):rep(5000), ("a-"):rep(60) .. "b"),
    }, function(body) ended("plugin_budget", body, { cpu = 1 }) end)
  end)

  it("gets no more memory than it may have", function()
    for _, body in ipairs{
      "return #('x'):rep(1 << 33)",
      "local t = {} for i = 1, math.huge do t[i] = { i } end",
      "local s = 'x' while true do s = s .. s end",
      "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1 << 16) .. i end",
      [[return table.concat(setmetatable({}, { __len = load "return 1 << 40", __index = load
        "return 'x'" }))]],
    } do
      local instance = start("function M.run() " .. body .. " end function M.ok() return 1 end",
        { memory = 16 << 20 })
      local why = tostring(failure(instance.call, instance, "run"))
      assert.is_truthy(why:find("not enough memory", 1, true) or why:find("too large", 1, true),
        why)
      assert.are.equal(1, (instance:call("ok")))
    end
  end)

  it("cannot drown its parent", function()
    local plugin = start[[
      function M.ask() return #px.map(function() return 1 end, px.sleep, { concurrency = 2, results = false }) end
      function M.flood()
        local tasks = {}
        for i = 1, 20000 do tasks[i] = px.spawn(px.sleep, 0) end
        for _, task in ipairs(tasks) do task:join() end
        return #tasks
      end]]
    assert.are.equal(20000, (plugin:call("flood")))
  end)

  it("cannot yield past its tasks, or ruin its own globals for another plugin", function()
    assert.matches("outside a coroutine", failure(run, "coroutine.yield(1)"))
    run("string.rep, table.concat, math.floor, px.sleep = nil px.money = nil "
      .. "getmetatable('').__index = nil")
    assert.are.equal("aa", run("return ('a'):rep(2)"))
    assert.are.equal("aa", ("a"):rep(2))
  end)

  it("starts no plugin with permissions where system calls cannot be filtered, by "
    .. "default", function()
    local script = [[
      local host = require "proxylua.plugin.host"
      local modules = { ["main.lua"] = "return { run = function() return 5 end }" }
      print(host.start{ name = "free", modules = modules }:call("run"))
      local ok, bound = pcall(host.start, { name = "bound", modules = modules, permissions = { read = true } })
      print(ok and bound:call("run") or bound.kind)]]
    local folder = program.folder()
    local check = core.system.real_path("build/spec/jail_check")
    local function said(env)
      local pipe = assert(io.popen(program.command(folder, { "deny", program.path, "-e", script },
        env, check)))
      local text = pipe:read("a")
      pipe:close()
      return text
    end
    assert.are.equal("5\nconfig\n", said())
    program.write(folder .. "/config.lua", "return { uncaged_plugins = true }")
    assert.are.equal("5\n5\n", said{ PROXYLUA_CONFIG = folder .. "/config.lua" })
    program.remove(folder)
  end)
end)
