-- The engine as a library in C: installed, compiled against, and run by two hosts.
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
    .. "$(pkg-config %s proxylua)"):format(PREFIX, WARNINGS, flags, source, path, how))
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
    local path = compile("scripts/embed/buy.c", "--cflags --libs", "")
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
    local path = compile("scripts/embed/buy.c", "--cflags --libs", "")
    local ok, out = host("env PROXYLUA_STORE=/proc/none/state.db " .. path)
    assert.is_nil(ok)
    assert.matches("^buy: store: ", out)
    assert.are.equal(0, sandbox:look("counters").sold)
  end)

  it("runs in the event loop of its host", function()
    local path = compile("spec/support/embed_check.c", "--cflags --libs --static",
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
end)
