-- src/store/postgres*.c: a database that cannot be used is a clear error, and one that comes back
-- is used again.

local children = require "spec.support.children"
local core = require "proxylua.core"
local postgres = require "spec.support.postgres"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local PASSWORD = "s3cret%26word"

describe("a store in PostgreSQL", function()
  local server, sandbox

  setup(function() server = postgres.start{ password = "s3cret&word", url_password = PASSWORD } end)
  teardown(function() server:stop() end)
  before_each(function()
    sandbox = sandboxes.start{ limits = "off" }
    server:query("DROP SCHEMA IF EXISTS proxylua CASCADE")
  end)
  after_each(function() sandbox:stop() end)

  local function environment(store)
    return { PROXYLUA_STORE = store or server.url, PROXYLUA_LIMITS = "general=60/60,orders=10/60",
      PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key, PROXYLUA_SPEND = "1000" }
  end

  local function run(code, store)
    return program.run({ "-e", "local px = require 'proxylua' " .. code },
      { env = environment(store) })
  end

  -- The request fails with an error that says why and keeps the password, and nothing was sent.
  local function refused(why, store, code)
    local result = run("px.account.get()", store)
    assert.equal(code or 4, result.code, result.err)
    assert.matches(why, result.err, 1, true)
    for _, secret in ipairs{ "s3cret", "word" } do
      assert.not_matches(secret, (result.err:gsub("user:password@host", ""):gsub("[Pp]assword",
        "")), 1, true)
    end
    assert.same({}, sandbox:look("counters").requests)
  end

  local function start(code)
    local script = program.write(sandbox.home .. "/script.lua", "local px = require 'proxylua' "
      .. code)
    return children.start(1, sandbox.home, { script }, environment())
  end

  it("is made by one of several processes that come to it at once", function()
    local script = program.write(sandbox.home .. "/get.lua", "require('proxylua').account.get()")
    for _, result in ipairs(children.start(6, sandbox.home, { script }, environment()):join()) do
      assert.same({ 0, "" }, { result.code, result.err })
    end
    assert.equal("54\n", run("print(px.limits().general.free)").out)
  end)

  it("of a newer version is left as it is", function()
    run("px.account.get()")
    sandbox:change("reset", { only = "counters" })
    server:query("UPDATE proxylua.version SET version = 99")
    refused("a newer proxylua has written it")
    assert.equal("99", server:query("SELECT version FROM proxylua.version"))
  end)

  it("of another program is left as it is", function()
    server:query("CREATE SCHEMA proxylua; CREATE TABLE proxylua.notes (text text)")
    refused("belongs to another program")
    assert.equal("1", server:query("SELECT count(*) FROM pg_class WHERE relname = 'notes'"))
  end)

  it("that is damaged is reported", function()
    run("px.account.get()")
    sandbox:change("reset", { only = "counters" })
    server:query("UPDATE proxylua.scopes SET slots = '\\x0102'")
    refused("damaged")
  end)

  it("that is read-only is reported", function()
    server:query("ALTER USER proxylua SET default_transaction_read_only = on")
    refused("it is read-only")
    server:query(
      "BEGIN READ WRITE; ALTER USER proxylua RESET default_transaction_read_only; COMMIT")
  end)

  it("is refused with the wrong user, password or database, and the message hides the "
    .. "password", function()
    refused("authentication failed for user \"proxylua\"", (server.url:gsub("s3cret", "s3cretx")))
    refused("authentication failed for user \"nobody\"",
      (server.url:gsub("://proxylua", "://nobody")))
    refused("database \"none\" does not exist", (server.url:gsub("/postgres%?", "/none?")))
    refused("no connection", "postgres://u:s3cretword@127.0.0.1:1/db")
  end)

  it("is a config error when its address is not valid, which is not quoted", function()
    for _, address in ipairs{
      "postgres://u:s3cret@word@host/db", "postgres://u:s3cret/word@host/db",
        "postgres://u:s3cret:word@host/db",
      "postgresql://u:s3cret%zzword@host/db", "postgres://u:s3cretword@[host/db",
      "postgres://u:s3cretword@host/db?what=1",
    } do refused("address", address, 2) end
  end)

  it("is a config error without the library", function()
    local command = program.command(sandbox.home, { "-e", "require('proxylua').account.get()" },
      environment())
    local hide =
      "for f in $(find /lib /usr/lib -name libpq.so.5*); do mount --bind /dev/null $f; done; "
    if not os.execute("unshare -rm true 2>/dev/null") then
      return pending("mounting is not permitted here")
    end
    local pipe = io.popen(("unshare -rm sh -c %s 2>&1; echo code $?"):format(program.quote(hide
      .. command)))
    local text = pipe:read("a")
    pipe:close()
    assert.matches("needs the client library libpq", text, 1, true)
    assert.matches("code 2", text, 1, true)
  end)

  it("is used again when the server has ended the connection", function()
    local group = start(([[
      px.account.get()
      io.stdout:write("ready\n") io.stdout:flush()
      while not io.open(%q) do px.sleep(0.01) end
      px.account.get() print(px.limits().general.free)]]):format(sandbox.home .. "/go"))
    group:await(1, "out")
    assert.equal("t", server:query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
      .. "WHERE application_name = 'proxylua'"))
    program.write(sandbox.home .. "/go", "")
    local result = group:join()[1]
    assert.same({ 0, "ready\n58\n" }, { result.code, result.out }, result.err)
  end)

  for _, signal in ipairs{ "INT", "QUIT", "KILL" } do
    it("that ends by SIG" .. signal .. " is an error until it is back, and forgets nothing",
      function()
      local group = start(([[
        px.account.get()
        io.stdout:write("ready\n") io.stdout:flush()
        local kind
        repeat local _, err = px.try(px.account.get) kind = err and err.kind px.sleep(0.01) until kind
        print(kind)
        io.open(%q .. "/failed", "w"):close()
        while px.try(px.limits) == nil do px.sleep(0.02) end
        print(60 - px.limits().general.free)]]):format(sandbox.home))
      group:await(1, "out")
      server:halt(signal)
      while not core.system.kind(sandbox.home .. "/failed") do core.task.sleep(0.01) end
      server:launch()
      local result = group:join()[1]
      local kind, taken = result.out:match("ready\n(%S+)\n(%d+)\n$")
      assert.equal("store", kind, result.err)
      assert.equal(0, result.code)
      assert.is_true(tonumber(taken) >= sandbox:look("counters").requests["account.get"])
    end)
  end

  it("that responds late grants slots whose lease is half over, and nothing is sent with them",
    function()
    run("px.account.get()")
    local lock = io.popen(
      ("PGPASSWORD='s3cret&word' %s/psql -X -q -h %s -U proxylua postgres -c %s"):format(server.bin,
      server.folder,
      program.quote(
        "BEGIN; SELECT 'locked' FROM proxylua.scopes FOR UPDATE; SELECT pg_sleep(2); COMMIT")))
    while server:query("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(2)%'")
      ~= "2" do
      core.task.sleep(0.01)
    end
    local env = environment()
    env.PROXYLUA_TIMEOUT = "0.2s"
    local result = program.run({ "--verbose", "-e", [[
      local px = require "proxylua"
      px.account.get()
      print(px.limits().general.free)]] }, { env = env })
    lock:close()
    assert.equal("58\n", result.out, result.err)
    assert.equal(1, select(2,
      result.err:gsub("its rate%-limit slots expired before it was sent", "")))
    assert.equal(2, sandbox:look("counters").requests["account.get"])
  end)

  it("that is away stops requests to the API and nothing else", function()
    run("px.account.get()")
    sandbox:change("reset", { only = "counters" })
    server:halt()
    local result = run(([[
      local kinds = {}
      for _, call in ipairs{ px.account.get, px.orders.list, px.limits, px.journal.each() } do
        local _, err = px.try(call)
        kinds[#kinds + 1] = err and err.kind
      end
      print(table.concat(kinds, " "))
      px.sleep(0.01)
      print(px.http.get(%q).status, px.money("1") + 1, px.json.encode{ 1
        })]]):format(sandbox.trace_url))
    assert.same({ "store store store store\n200\t2.00\t[1]\n", 0 }, { result.out, result.code },
      result.err)
    for _, arguments in ipairs{ { "--help" }, { "help", "limits" }, { "--version" },
      { "-e", "print(1)" } } do
      assert.equal(0, program.run(arguments, { env = environment() }).code)
    end
    refused("no connection; check the server and the network")
    server:launch()
    assert.equal("59\n", run("print(px.limits().general.free)").out)
  end)

  it("that is frozen holds up nothing else", function()
    run("px.account.get()")
    local group = start((([[
      px.account.get()
      io.stdout:write("ready\n") io.stdout:flush()
      local done
      local task = px.spawn(function() px.account.get() done = true end)
      while not io.open(HOME .. "/frozen") do px.sleep(0.01) end
      for _ = 1, 20 do px.sleep(0.01) end
      io.open(HOME .. "/alive", "w"):close()
      task:join() print(done)]]):gsub("HOME", function() return ("%q"):format(sandbox.home) end)))
    group:await(1, "out")
    server:freeze(true)
    program.write(sandbox.home .. "/frozen", "")
    while not core.system.kind(sandbox.home .. "/alive") do core.task.sleep(0.01) end
    server:freeze(false)
    assert.equal("ready\ntrue\n", group:join()[1].out)
  end)
end)
