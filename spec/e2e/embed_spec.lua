-- The engine as libraries, installed, compiled against, and run by hosts: in C, and with a Lua of
-- their own.
local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local PREFIX = program.folder()
local WARNINGS = "-std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -g "

local function run(command)
  local pipe = io.popen(command .. " 2>&1")
  local out = pipe:read("a")
  local ok = pipe:close()
  return ok, out
end

-- Compiles a host against what is installed. `how`: the arguments of pkg-config.
local function compile(source, how, flags)
  local path = PREFIX .. "/" .. source:match("([^/]+)%.c$")
  local ok, out = run(("export PKG_CONFIG_PATH=%s/lib/pkgconfig; gcc %s %s %s -o %s "
    .. "$(pkg-config %s)"):format(PREFIX, WARNINGS, flags, source, path, how))
  assert(ok, out)
  return path
end

describe("the library", function()
  local sandbox

  setup(function()
    -- A make of its own, not a part of the one that runs the specs.
    local ok, out = run("env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make --silent install-lib PREFIX="
      .. PREFIX)
    assert(ok, out)
  end)
  teardown(function() program.remove(PREFIX) end)
  before_each(function() sandbox = sandboxes.start{ dialect = "envelope" } end)
  after_each(function() sandbox:stop() end)

  local function host(path, ...)
    local result = { run(("LD_LIBRARY_PATH=%s/lib PROXYLUA_BASE_URL=%s PROXYLUA_API_KEY=%s "
      .. "PROXYLUA_STORE=%s/state.db %s %s"):format(PREFIX, sandbox.url, sandbox.key, sandbox.home,
      path, table.concat({ ... }, " "))) }
    return table.unpack(result)
  end

  it("exports the functions of proxylua.h alone", function()
    local declared, exported = {}, {}
    for name in program.read("src/proxylua.h"):gmatch("(proxylua_%l+)%(") do
      declared[name] = true
    end
    local _, out = run("nm -D --defined-only " .. PREFIX .. "/lib/libproxylua.so")
    for name in out:gmatch("T (%S+)") do exported[name] = true end
    assert.are.same(declared, exported)
    assert.is_true(declared.proxylua_open)
    _, out = run("nm -g --defined-only " .. PREFIX .. "/lib/libproxylua.a")
    for name in out:gmatch("%x [A-Z] (%S+)") do assert.is_true(declared[name] or false, name) end
  end)

  it("buys once for each key, from the example host", function()
    local path = compile("scripts/embed/buy.c", "--cflags --libs proxylua", "")
    local ok, first = host(path, "office-1")
    assert(ok, first)
    local order, proxies = first:match("([^\n]*)\n([^\n]*)")
    assert.matches('"price":4.80', order, 1, true)
    local items = core.json.decode(proxies).items
    assert.are.equal(2, #items)
    for _, item in ipairs(items) do
      assert.are.equal(("%s://%s:%s@%s:%d"):format(item.protocol, item.username, item.password,
        item.host, item.port), item.url)
    end
    local again, second = host(path, "office-1")
    assert(again, second)
    assert.are.equal("bought before: " .. order, second:match("[^\n]*"))
    assert.are.equal(1, sandbox:look("counters").sold)
    local code, refused = host(path, "office-2 --")
    assert(code, refused)
    assert.are.equal(2, sandbox:look("counters").sold)
  end)

  it("reports a store that it cannot open", function()
    local path = compile("scripts/embed/buy.c", "--cflags --libs proxylua", "")
    local ok, out = host("env PROXYLUA_STORE=/proc/none/state.db " .. path)
    assert.is_nil(ok)
    assert.matches("^buy: store: ", out)
    assert.are.equal(0, sandbox:look("counters").sold)
  end)

  it("runs in the event loop of its host", function()
    local path = compile("spec/support/embed_check.c", "--cflags --libs --static proxylua",
      "-fsanitize=address,undefined -fno-sanitize-recover=all")
    local ok, out = host(path)
    assert(ok, out)
    local lines = {}
    for name, line in out:gmatch("([%l]+): ([^\n]*)") do lines[name] = line end
    assert.matches("^usage, money none: there is no endpoint orders.lst; did you mean orders.list",
      lines.typo)
    assert.matches("^usage, .*must be a JSON object", lines.syntax)
    assert.matches('^usage, .*did you mean "limit"', lines.unknown)
    assert.matches("^usage, .*quantity", lines.type)
    assert.matches("^usage, .*id", lines.missing)
    assert.matches('^%d+ {"id":"ord_', lines.first)
    assert.matches('^%d+ repeated {"id":"ord_', lines.second)
    assert.matches('"balance":', lines.account)
    assert.matches('"general":{"requests":60,"seconds":60,', lines.limits, 1, true)
    assert.is_nil(lines.cancelled)
    assert.matches('^%d+ {"items":%[{"id":.*"page":1,"limit":1,"total":1,"has_more":false}$',
      lines.list)
    assert.matches("^not_found, money none", lines.none)
    assert.matches("^spend_refused, money none", lines.dear)
    assert.matches('"key":"host-1","state":"placed","endpoint":"orders.create"', lines.journal, 1,
      true)
    assert.is_nil(lines.left)
    assert.is_nil(lines.busy)
    assert.is_falsy(out:find("too early"))
    assert.are.equal(1, sandbox:look("counters").sold)
  end)

  describe("for hosts with a Lua of their own", function()
    local function script(text)
      return program.write(sandbox.home .. "/script.lua", text)
    end

    it("exports luaopen_proxylua and the functions of its headers alone", function()
      local declared, exported = { luaopen_proxylua = true }, {}
      for _, header in ipairs{ "src/proxylua.h", "src/proxylua_lua.h" } do
        for name in program.read(header):gmatch("(proxylua_[%l_]+)%(") do declared[name] = true end
      end
      local _, out = run("nm -D --defined-only " .. PREFIX .. "/lib/libproxylua-lua.so")
      for name in out:gmatch("T (%S+)") do exported[name] = true end
      assert.are.same(declared, exported)
    end)

    it("gives their scripts px, from the example host", function()
      local path = compile("scripts/embed/host.c", "--cflags --libs proxylua-lua", "")
      local ok, out = host(path, script[[
        assert(px == require "proxylua")
        local want = { type = "isp", quantity = 2, country = "US", period = 30, key = "office-1" }
        local order = px.orders.create(want)
        print(order.price, px.orders.create(want).id == order.id, #px.orders.proxies(order.id))
        print(px.json.encode(px.json.decode('{"a":[],"b":1,"c":[null]}')))
        print(px.try(px.orders.get, "none") == nil, select(2, px.try(px.orders.get, "none")).kind)
        print(os.getenv("PROXYLUA_API_KEY"))
        px.orders.get("none")]])
      assert.is_nil(ok)
      local lines = {}
      for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line end
      assert.are.same({ "4.80\ttrue\t2", '{"a":[],"b":1,"c":[null]}', "true\tnot_found", "nil" },
        table.move(lines, 1, 4, 1, {}))
      assert.matches("^host: .*not found", lines[5])
      assert.are.equal(1, sandbox:look("counters").sold)
    end)

    it("leaves the host's process, coroutines and globals as they are", function()
      local path = compile("spec/support/host_check.c", "--cflags --libs proxylua-lua",
        "-D_GNU_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all")
      local ok, out = host(path, script[[
        local before = { print = print, resume = coroutine.resume, write = io.write, exit = os.exit }
        local px = require "proxylua"
        assert(print == before.print and io.write == before.write and os.exit == before.exit)
        assert(coroutine.resume == before.resume and _G.px == nil)
        -- A call inside a coroutine of the host waits there; its yields are its own.
        local thread = coroutine.wrap(function()
          coroutine.yield(px.account.get().balance)
          return "end"
        end)
        print("coroutine: " .. tostring(thread()) .. " " .. thread())
        -- Tasks run while the host's own code waits, and in its loop.
        local ran = 0
        local first = px.spawn(function() px.account.get() ran = ran + 1 end)
        px.sleep(0.01)
        first:join()
        print("tasks: " .. ran)
        print("all: " .. #px.all{ px.account.get, px.account.get })
        px.spawn(function() px.sleep(0.01) error("nobody joins me") end)
        px.spawn(function() px.sleep(1e6) end)
        px.spawn(function()
          local thread = coroutine.wrap(function() return px.account.get().balance end)
          print("inner: " .. tostring(thread() ~= nil))
          px.sleep(0.05)
          finished = true
        end)]])
      assert(ok, out)
      local lines = {}
      for name, line in out:gmatch("([%l]+): ([^\n]*)") do lines[name] = line end
      assert.matches("call proxylua_lua_open before", lines.early, 1, true)
      assert.matches("config: there is no api_key", lines.refused, 1, true)
      assert.matches("usage: px is open already in this state", lines.again, 1, true)
      assert.matches("^%d+%.%d%d end$", lines.coroutine)
      assert.are.same({ "1", "2", "true", "unchanged" },
        { lines.tasks, lines.all, lines.inner, lines.process })
      assert.matches("joins me", lines.log)
      assert.is_nil(lines.failed, out)
    end)
  end)
end)
