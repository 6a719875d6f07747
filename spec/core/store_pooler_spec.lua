-- src/charge/lock_store.c, src/store/postgres.c: a store in PostgreSQL behind a pooler that
-- hands each transaction to another session, and what becomes of the right to charge when its
-- holder is stopped, killed or cut off.

local children = require "spec.support.children"
local core = require "proxylua.core"
local jobs = require "spec.support.journal_jobs"
local pooler = require "spec.support.pooler"
local postgres = require "spec.support.postgres"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local BUY = "{ type = 'isp', quantity = 1, country = 'US', period = 30 }"
local DELAY = 0.2 -- seconds that the API takes for a purchase

describe("a store in PostgreSQL", function()
  local server, bouncer, sandbox

  setup(function() server = postgres.start() end)
  teardown(function() server:stop() end)
  before_each(function()
    server:query("DROP SCHEMA IF EXISTS proxylua CASCADE")
    bouncer = pooler.start(server, 2)
    sandbox = sandboxes.start{ limits = "off" }
  end)
  after_each(function()
    sandbox:stop()
    bouncer:stop()
  end)

  local function start(count, code, extra)
    local env = { PROXYLUA_STORE = bouncer.url, PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000",
      PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key }
    for name, value in pairs(extra or {}) do env[name] = value end
    return children.start(count, sandbox.home, { program.write(sandbox.home .. "/script.lua",
      "local px = require 'proxylua' " .. code) }, env)
  end

  -- The times at which the server began purchases, in order.
  local function purchases()
    local counted, times = sandbox:look("counted"), {}
    for at, name in ipairs(counted.names) do
      if name == "orders.create" then times[#times + 1] = counted.times[at] end
    end
    return times
  end

  it("behind a pooler lets one charge go at a time", function()
    sandbox:change("settings", { faults = core.json.array{ ("orders.create:delay=%g"):format(DELAY)
      } })
    local results = start(3, ("for _ = 1, 4 do px.orders.create(%s) end"):format(BUY)):join()
    for _, result in ipairs(results) do assert.same({ 0, "" }, { result.code, result.err }) end
    local times = purchases()
    assert.equal(12, #times)
    for at = 2, #times do
      assert.is_true(times[at] - times[at - 1] >= DELAY, ("%.3f s"):format(times[at]
        - times[at - 1]))
    end
    assert.equal(12, sandbox:look("counters").sold)
  end)

  local function doctor(url)
    local result = program.run({ "doctor", "--json" }, { home = sandbox.home, env = {
      PROXYLUA_STORE = url, PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key } })
    local found = {}
    for _, finding in ipairs(core.json.decode(result.out).findings) do
      found[finding.check] = finding
    end
    return found["store pooler"], found.store
  end

  it("behind a pooler is reported as such by doctor, and what works with it", function()
    local pooled, store = doctor(bouncer.url)
    assert.equal("ok", store.state)
    assert.same({ state = "ok", check = "store pooler",
      text = "a connection pooler such as PgBouncer is in between",
      advice = "session mode and transaction mode work; statement mode does not" }, pooled)
    assert.is_nil((doctor(server.url)))
  end)

  it("behind a pooler in session mode buys, and in statement mode says what to change", function()
    for _, mode in ipairs{ "session", "statement" } do
      local other = pooler.start(server, 2, mode)
      local pooled, store = doctor(other.url)
      local result = start(1, ("px.orders.create(%s)"):format(BUY),
        { PROXYLUA_STORE = other.url }):join()[1]
      other:stop()
      if mode == "session" then
        assert.same({ "ok", 0, "" }, { pooled.state, result.code, result.err })
      else
        assert.equal("fail", store.state)
        assert.matches("its pooler is in statement mode.*set pool_mode to session", store.text)
        assert.equal(4, result.code)
      end
    end
    assert.equal(1, sandbox:look("counters").sold)
  end)

  it("behind a pooler hands out each slot once", function()
    local results = start(3,
      "for _ = 1, 20 do px.account.get() end print(px.limits().general.free)",
      { PROXYLUA_LIMITS = "general=100/60,orders=10/60" }):join()
    local least = math.huge
    for _, result in ipairs(results) do
      assert.same({ 0, "" }, { result.code, result.err })
      least = math.min(least, tonumber(result.out))
    end
    assert.equal(40, least)
  end)

  it("behind a pooler leaves no setting to other clients of its sessions", function()
    local before = server:query("SHOW search_path")
    start(1, ("px.orders.create(%s)"):format(BUY)):join()
    local pipe = io.popen(("%s/psql -X -A -t -q -h %s -p 6432 -U proxylua postgres -c %s"):format(
      server.bin, bouncer.folder, program.quote("SHOW search_path")))
    assert.equal(before, (pipe:read("a"):gsub("%s+$", "")))
    pipe:close()
    assert.equal("0", server:query("SELECT count(*) FROM pg_prepared_statements"))
    assert.equal("0", server:query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
  end)

  local function await(session, job, wanted)
    local line
    repeat
      line = session:run(job)
      if line ~= wanted then core.task.sleep(0.02) end
    until line == wanted
  end

  it("gives the right of a holder that is stopped to the next one, and then refuses its writes",
    function()
    local first, second = jobs.open(bouncer.url), jobs.open(bouncer.url)
    assert.equal("locked", first:run("lock account=A"))
    assert.matches("^reserved 1 ", first:run("reserve key=a locked=1"))
    assert.equal("not locked", second:run("lock account=A"))
    first:signal("STOP")
    await(second, "lock account=A", "locked")
    first:signal("CONT")
    assert.matches("^error this process lost the lock of the account",
      first:run("settle id=1 state=sent locked=1"))
    assert.matches("^error this process lost the lock of the account",
      first:run("reserve key=b locked=1"))
    assert.equal("changed", first:run("settle id=1 state=not_placed"))
    assert.matches("^reserved 2 ", second:run("reserve key=b locked=1"))
    first:close()
    second:close()
  end)

  it("keeps the right of a holder that lives, for longer than a lease", function()
    local first, second = jobs.open(bouncer.url), jobs.open(bouncer.url)
    assert.equal("locked", first:run("lock account=A"))
    local from = server:query("SELECT clock_timestamp()")
    local over = ("SELECT clock_timestamp() > '%s'::timestamptz + interval '8 s'"):format(from)
    while server:query(over) ~= "t" do
      assert.equal("not locked", second:run("lock account=A"))
      core.task.sleep(0.1)
    end
    assert.matches("^reserved", first:run("reserve key=a locked=1"))
    first:close()
    second:close()
  end)

  it("gives the right to those that wait before one that charges again and again", function()
    local first, second, third = jobs.open(bouncer.url), jobs.open(bouncer.url),
      jobs.open(bouncer.url)
    assert.equal("locked", first:run("lock account=A"))
    assert.equal("not locked", second:run("lock account=A"))
    assert.equal("not locked", third:run("lock account=A"))
    assert.equal("not locked", first:run("lock"))
    assert.equal("not locked", first:run("lock account=A"))
    assert.equal("not locked", third:run("lock account=A"))
    assert.equal("locked", second:run("lock account=A"))
    for _, session in ipairs{ first, second, third } do session:close() end
  end)

  it("goes on with the right when the connection was cut", function()
    local session = jobs.open(server.url)
    assert.equal("locked", session:run("lock account=A"))
    for _, job in ipairs{ "reserve key=a locked=1", "settle id=1 state=sent locked=1",
      "settle id=1 order=o locked=1", "amend id=1 price=2 locked=1", "prune before=60", "lock" } do
      server:query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        .. "WHERE application_name = 'proxylua'")
      assert.is_nil(session:run(job):match("^error.*"))
    end
    assert.matches("^placed order=o", session:run("find key=a"))
    session:close()
  end)

  it("stops a program whose tables were dropped, or are others, before it writes", function()
    local session = jobs.open(server.url)
    assert.matches("^reserved 1 ", session:run("reserve key=a"))
    server:query("DROP SCHEMA proxylua CASCADE")
    assert.matches("^error the store ", session:run("reserve key=b"))
    assert.matches("^reserved 1 ", jobs.run(server.url, { "reserve key=c" })[1])
    for _, job in ipairs{ "reserve key=b", "settle id=1", "lock account=A" } do
      assert.matches("^error the store was removed or replaced", session:run(job))
    end
    session:close()
  end)

  it("stops a program whose entries were taken away, before it buys", function()
    local session = jobs.open(server.url)
    assert.matches("^reserved 1 ", session:run("reserve key=a"))
    server:query("DELETE FROM proxylua.charges; SELECT setval('proxylua.charges_id_seq', 1, false)")
    assert.matches("^error the store was set back", session:run("reserve key=b"))
    session:close()
  end)

  it("stops a program that runs while a newer one migrates it", function()
    local session = jobs.open(server.url)
    assert.equal("locked", session:run("lock account=A"))
    assert.matches("^reserved 1 ", session:run("reserve key=a locked=1"))
    local version = server:query("SELECT version FROM proxylua.version")
    server:query("UPDATE proxylua.version SET version = 99")
    for _, job in ipairs{ "settle id=1 state=sent locked=1", "reserve key=b", "lock account=B",
      "find key=a", "review" } do
      assert.matches("^error .* a newer proxylua has written it", session:run(job))
    end
    server:query("UPDATE proxylua.version SET version = " .. version)
    assert.equal("changed", session:run("settle id=1 state=not_placed"))
    session:close()
  end)
end)
