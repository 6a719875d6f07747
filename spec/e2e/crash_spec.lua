-- A charge that is ended, stopped or interrupted at each of its named steps, and whose store fails
-- there: what was printed, what is on record and what the server sold agree, and the next run
-- finds out the rest. spec/support/crash.lua has the means; `make crash` (CRASH=long here) does all
-- of it at all steps, and storms for minutes.

local core = require "proxylua.core"
local crash = require "spec.support.crash"
local program = require "spec.support.program"
local px = require "proxylua"
local stores = require "spec.support.stores"

local LONG = os.getenv("CRASH") == "long"
local ORDER = { type = "isp", quantity = 1, country = "US", period = 30 }

local function wanted(key, more)
  local out = { key = key }
  for name, value in pairs(more or ORDER) do out[name] = value end
  return out
end

-- Steps that are only reached when an answer was lost, and when another process has left an entry
-- open.
local lost, left = { unknown = true }, { ["taken-over"] = true }
-- One that is only reached when the response has no price.
local priced = { priced = "orders.create:omit=price" }

-- Of a list of steps all in the long form, and in the short one those that matter most.
local function chosen(...)
  return LONG and crash.steps() or { ... }
end

-- Until the intent is on disk nothing can have been sent.
local before_intent = {}
for _, name in ipairs{ "account", "locked", "recovered", "looked-up", "quoted", "allowed",
  "snapshot", "slots" } do
  before_intent[name] = true
end

describe("the steps of a charge", function()
  it("are named once each", function()
    local seen = {}
    for _, name in ipairs(crash.steps()) do
      assert.is_nil(seen[name], name)
      seen[name] = true
    end
    for name in pairs(before_intent) do assert.is_true(seen[name], name) end
  end)

  it("do nothing in the program itself", function()
    local env = { PROXYLUA_CRASH = "account" }
    assert.equal("0\n", program.run({ "--sandbox", "--spend", "9", "-e",
      "require('proxylua').orders.create{ type = 'isp', quantity = 1 } print(0)" },
      { env = env }).out)
    assert.is_nil(program.read(program.path):find("PROXYLUA_CRASH", 1, true))
  end)
end)

for _, place in ipairs(stores.all) do
  describe("with its store in " .. place.name .. ", a charge", function()
    local server, store
    setup(place.start)
    teardown(place.stop)

    before_each(function()
      store = place.fresh()
      server = crash.server()
    end)
    after_each(function() server:stop() end)

    local function entry_of(key)
      local result = program.run({ "--json", "journal", "list", "--all" },
        { env = { PROXYLUA_BASE_URL = server.url,
        PROXYLUA_API_KEY = server.key, PROXYLUA_STORE = store } })
      assert.equal(0, result.code, result.err)
      for _, entry in ipairs(core.json.decode(result.out)) do
        if entry.key == key then return entry end
      end
    end

    -- What the server sold under a key, and its id.
    local function sold(key)
      local count, id = 0, nil
      for _, order in ipairs(server:look("orders").orders) do
        if crash.key_of(order) == key then count, id = count + 1, order.id end
      end
      return count, id
    end

    -- Whether what a client said and what is on record agree with what was sold.
    local function check(key, said, about)
      local count, id = sold(key)
      local entry = entry_of(key)
      assert.is_true(count <= 1, about)
      if said.id then assert.equal(id, said.id, about) end
      if said.charge == "none" then assert.equal(0, count, about) end
      if entry and entry.state == "placed" then assert.equal(id, entry.order_id, about) end
      if not entry or entry.state == "not_placed" then assert.equal(0, count, about) end
      local told = said.err and said.err:match("which was cancelled, went through: order (%S+)")
      if told then assert.equal(id, told, about) end
      if said.err and said.err:find("did not go through", 1, true) then
        assert.equal(0, count, about)
      end
    end

    -- The same key once more: it is bought by now, once.
    local function finish(key, about, more)
      local again = crash.persist(server, store, wanted(key, more))
      local count, id = sold(key)
      assert.same({ 0, 1, id }, { again.code, count, again.id }, about .. ": " .. again.err)
      local entry = entry_of(key)
      assert.same({ "placed", id }, { entry.state, entry.order_id }, about)
    end

    -- Another program buys in the account: no baseline that was left holds any more.
    local function buy_otherwise()
      local response = core.http.post(server.url .. "/orders", { json = ORDER,
        headers = { Authorization = "Bearer " .. server.key } })
      assert.equal(2, response.status // 100)
    end

    -- Brings about what a step needs, and starts a client that gets a signal there.
    local function start_at(step, signal, key, env)
      if left[step] then
        local dead = crash.run(server, store, wanted("dead-before-" .. key),
          { PROXYLUA_CRASH = "answered" })
        assert.equal(137, dead.code, dead.err)
      end
      if priced[step] then buy_otherwise() end
      server:faults(lost[step] and "orders.create:cut=after,count=1" or priced[step])
      local all = { PROXYLUA_CRASH = step .. "=" .. signal }
      for name, value in pairs(env or {}) do all[name] = value end
      return crash.start(server, store, wanted(key), all)
    end

    it("that is killed at any step is made once, by the next run with its key", function()
      local steps = place.cut and chosen("intent", "leaving", "answered", "taken-over")
        or crash.steps()
      for _, step in ipairs(steps) do
        local result = start_at(step, "kill", step):join()
        assert.equal(137, result.code, step .. " was not reached: " .. result.err)
        check(step, result, step)
        server:faults()
        finish(step, step)
      end
    end)

    it("that is interrupted at any step says what came of it, and the next run settles it",
      function()
      for at, step in ipairs(chosen("slots", "sending", "answered", "unknown")) do
        for _, signal in ipairs(LONG and { "term", "int" }
          or { at % 2 == 0 and "term" or "int" }) do
          local key = step .. signal
          local result = start_at(step, signal, key):join()
          assert.is_true(result.code == 130 or result.code == 0 and result.id ~= nil,
            step .. result.code .. result.err)
          check(key, result, step)
          finish(key, step)
        end
      end
    end)

    it("that extends and is killed at any step is made once", function()
      local id = crash.run(server, store, wanted("o")).id
      for at, step in ipairs(chosen("intent", "answered", "unknown")) do
        server:faults(lost[step] and "orders.extend:cut=after,count=1" or nil)
        local more = { id = id, key = step, period = 30 }
        local result = crash.run(server, store, more, { PROXYLUA_CRASH = step })
        if not left[step] then
          assert.equal(137, result.code, step .. " was not reached: " .. result.err)
        end
        assert.equal(id, crash.run(server, store, more).id, step)
        assert.equal(at, server:look("counters").extended, step)
      end
    end)

    it("belongs to the account that its key was first found to have", function()
      local first = crash.start(server, store, wanted("k"), { PROXYLUA_CRASH = "account=stop" })
      assert.is_true(first:stopped())
      local second = crash.run(server, store, wanted("k"))
      assert.equal(0, second.code)
      server:change("settings", { email = "another@example.com" })
      first:signal("CONT")
      assert.equal(second.id, first:join().id)
      assert.equal(1, (sold("k")))
    end)

    it("does not begin when the response about the account cannot be used", function()
      for _, fault in ipairs{ "garbage", "html,status=200", "empty,status=200", "omit=email" } do
        server:faults("account.get:" .. fault)
        local result = crash.run(server, store, wanted("k"))
        assert.same({ 4, "protocol", "none" }, { result.code, result.kind, result.charge })
      end
      server:faults()
      finish("k", "no account")
    end)

    it("that is cancelled or timed out at any instant says what came of it, and the next run "
      .. "settles it", function()
      server:faults("*:delay=0-0.03")
      local codes = { ["bought"] = 0, ["timeout none"] = 4, ["outcome_unknown unknown"] = 5,
        ["cancelled none"] = 130,
        ["cancelled unknown"] = 130 }
      for at = 1, LONG and 100 or 4 do
        local key = "cancelled-" .. at
        local more = { [at % 2 == 0 and "within" or "after"] = 0.005 + math.random() * 0.25 }
        for name, value in pairs(ORDER) do more[name] = value end
        local result = crash.run(server, store, wanted(key, more))
        local about = ("%s after %.3f s"):format(key, more.within or more.after)
        local said = result.id and "bought" or ("%s %s"):format(result.kind, result.charge)
        assert.equal(codes[said], result.code, ("%s: %s\n%s"):format(about, said, result.err))
        check(key, result, about)
        finish(key, about)
      end
    end)

    it("that died under one key of the account is settled under another", function()
      server:stop()
      server = crash.server{ "--key", crash.keys[1], "--key", crash.keys[2] }
      for _, step in ipairs{ "leaving", "answered" } do
        assert.equal(137, crash.run(server, store, wanted(step), { PROXYLUA_CRASH = step }).code)
        local result = crash.persist(server, store, wanted(step),
          { PROXYLUA_API_KEY = crash.keys[2] })
        local count, id = sold(step)
        assert.same({ 1, id }, { count, result.id }, step .. result.err)
      end
    end)

    it("that died on another machine is settled when its request must have ended", function()
      if not os.execute("unshare --uts true 2>/dev/null") then
        return pending("there is no other machine here")
      end
      for _, step in ipairs(LONG and { "leaving", "answered" } or { "answered" }) do
        local env = { PROXYLUA_CRASH = step, PROXYLUA_TIMEOUT = "1s" }
        assert.equal(137, crash.start(server, store, wanted(step), env, "elsewhere"):join().code)
        assert.equal("elsewhere", entry_of(step).host)
        finish(step, step)
      end
    end)

    -- A client stops at a step; something is done to its store; it goes on, and the store is made
    -- whole again. Before the intent is on disk nothing is sent.
    local function harm(step, break_it, mend_it)
      local client = start_at(step, "stop", step)
      assert.is_true(client:stopped(), step .. " was not reached")
      break_it()
      client:signal("CONT")
      local result = client:join()
      mend_it()
      if before_intent[step] or step == "intent" then
        assert.same({ 4, "store", "none" }, { result.code, result.kind, result.charge },
          step .. result.err)
      end
      check(step, result, step)
      finish(step, step)
    end

    if place.server_is_ours then
      it("whose database dies at a step is not sent, or settled by the next run", function()
        for _, step in ipairs(chosen("quoted", "unknown")) do
          harm(step, function() place.server:halt("KILL") end, function() place.server:launch() end)
        end
      end)

      it("whose connection is cut at a step is made once", function()
        for _, step in ipairs(chosen("slots", "intent", "sending", "unknown")) do
          local client = start_at(step, "stop", step)
          assert.is_true(client:stopped(), step .. " was not reached")
          place.cut(store)
          client:signal("CONT")
          local result = client:join()
          check(step, result, step .. " cut")
          finish(step, step .. " cut")
        end
      end)
    end

    -- A client stops at a step for longer than any timeout while another one wants the same. In
    -- PostgreSQL its session is cut, and the other one goes on. Then it wakes up.
    local function stall(step)
      local location, own = place.another("stall-" .. step), crash.server()
      local env = { PROXYLUA_TIMEOUT = "2s" }
      if left[step] then
        crash.run(own, location, wanted("left-by-the-dead"), { PROXYLUA_CRASH = "answered" })
      end
      own:faults(lost[step] and "orders.create:cut=after,count=1" or priced[step])
      local stopping = { PROXYLUA_TIMEOUT = "2s", PROXYLUA_CRASH = step .. "=stop" }
      local first = crash.start(own, location, wanted("k"), stopping)
      assert(first:stopped(), step .. " was not reached")
      if place.cut then place.cut(location) end
      local second, began = crash.start(own, location, wanted("k"), env), core.task.clock()
      while core.task.clock() - began < 6 do core.task.sleep(0.05) end
      local said = place.cut and second:join()
      first:signal("CONT")
      local late = first:join()
      said = said or second:join()
      local orders = own:look("orders").orders
      local count = #orders - (left[step] and 1 or 0)
      own:stop()
      assert(count == 1, ("%s: %d orders; %s; %s"):format(step, count, said.err, late.err))
      assert(said.code == 0 and (said.id == orders[1].id or left[step]), step .. ": " .. said.err)
      assert(not late.id or late.id == said.id, step)
    end

    if LONG or place.cut then
      it("whose process stalls at a step sends nothing stale", function()
        px.map(chosen("intent", "sending", "leaving"), stall, { concurrency = 4 })
      end)
    end
  end)
end

-- In short what `make crash` does for minutes: on both stores at once.
describe("a storm of faults and kills", function()
  it("leaves every intent with one order, on record and within its allowance", function()
    local folder, lines = program.folder(), {}
    for at, place in ipairs(stores.all) do
      local line = "%s spec/support/crash_long.lua storms=1 intents=6 processes=2 kills=3 day=15 "
        .. "run=8 store=%s"
      lines[at] = (line .. " >%s/%d 2>&1 &"):format(program.path, place.name, folder, at)
    end
    os.execute(table.concat(lines, " ") .. " wait")
    for at, place in ipairs(stores.all) do
      local said = program.read(("%s/%d"):format(folder, at))
      local bad = "0 duplicates, 0 losses, 0 unrecorded, 0 open, 0 mispriced, 0 hung, 0 crashed"
      assert.is_truthy(said:find(bad, 1, true), place.name .. ": " .. said)
      assert.is_truthy(said:find("refused, 0 overspent", 1, true), place.name .. ": " .. said)
    end
    program.remove(folder)
  end)
end)

-- A file system of its own, which can be full and can be read-only. NULL where mounts are
-- forbidden.
local function mounted()
  local folder = program.folder()
  if os.execute(("mount -t tmpfs -o size=400k proxylua-spec %s 2>/dev/null"):format(folder)) then
    return folder
  end
  program.remove(folder)
end

-- Whole pages first, then what is left of the last one.
local function fill(folder)
  local line = "dd if=/dev/zero of=%s/filler bs=4k status=none; head -c 4095 /dev/zero >>%s/filler"
  os.execute(("{ %s; } 2>/dev/null"):format(line:format(folder, folder)))
end

describe("a charge whose store's file system", function()
  local server, folder, store
  before_each(function()
    folder = mounted()
    if not folder then return end
    server, store = crash.server(), folder .. "/state.db"
  end)
  after_each(function()
    if not folder then return end
    server:stop()
    assert(os.execute(("umount %s && rmdir %s"):format(folder, folder)))
  end)

  local function sold()
    return server:look("counters").sold
  end

  local function check_none(result, about)
    assert.same({ 4, "store", "none" }, { result.code, result.kind, result.charge }, about .. ": "
      .. result.err)
  end

  it("is full before it begins is not sent", function()
    if not folder then return pending("mounts are forbidden here") end
    fill(folder)
    check_none(crash.run(server, store, wanted("k")), "full")
    assert.equal(0, sold())
    os.remove(folder .. "/filler")
    assert.equal(0, crash.run(server, store, wanted("k")).code)
  end)

  it("is full from a step on is not sent before its intent is on disk, and settled by the next run "
    .. "after it", function()
    if not folder then return pending("mounts are forbidden here") end
    local refused = 0
    for at, step in ipairs(LONG and { "locked", "quoted", "slots", "intent", "sending", "leaving",
      "answered" }
      or { "slots", "intent", "answered" }) do
      local client = crash.start(server, store, wanted(step), { PROXYLUA_CRASH = step .. "=stop" })
      assert.is_true(client:stopped(), step)
      fill(folder)
      client:signal("CONT")
      local result = client:join()
      os.remove(folder .. "/filler")
      if result.kind == "store" then
        refused = refused + 1
        assert.equal("none", result.charge, step)
        assert.equal(at - 1, sold(), step)
      else
        assert.equal(0, result.code, step .. ": " .. result.err)
      end
      assert.equal(0, crash.persist(server, store, wanted(step)).code, step)
      assert.equal(at, sold(), step)
    end
    assert.is_true(refused > 0)
  end)

  it("is read-only is not sent", function()
    if not folder then return pending("mounts are forbidden here") end
    assert.equal(0, crash.run(server, store, wanted("before")).code)
    assert(os.execute(("mount -o remount,ro %s"):format(folder)))
    check_none(crash.run(server, store, wanted("k")), "read-only")
    assert(os.execute(("mount -o remount,rw %s"):format(folder)))
    assert.equal(1, sold())
  end)
end)

-- The sqlite3 program with a transaction that blocks all other writers.
local function lock(store)
  local pipe = assert(io.popen(("sqlite3 %s"):format(store), "w"))
  local mark = store .. "-locked-" .. math.random(1e9)
  pipe:write(("BEGIN EXCLUSIVE;\n.shell touch %s\n"):format(mark))
  pipe:flush()
  while not core.system.kind(mark) do core.task.sleep(0.005) end
  return function()
    pipe:write("ROLLBACK;\n")
    pipe:close()
    os.remove(mark)
  end
end

describe("a charge whose store is a file", function()
  local folder
  before_each(function() folder = program.folder() end)
  after_each(function() program.remove(folder) end)

  local function locked_at(step)
    local server, store = crash.server(), ("%s/%s.db"):format(folder, step)
    server:faults(lost[step] and "orders.create:cut=after,count=1" or nil)
    local client = crash.start(server, store, wanted("k"), { PROXYLUA_CRASH = step .. "=stop" })
    assert(client:stopped(), step .. " was not reached")
    local unlock = lock(store)
    client:signal("CONT")
    local result = client:join()
    unlock()
    local count = server:look("counters").sold
    local again = crash.persist(server, store, wanted("k"))
    local after = server:look("counters").sold
    server:stop()
    if before_intent[step] or step == "intent" then
      assert(result.kind == "store" and result.charge == "none" and count == 0, step .. ": "
        .. result.err)
    elseif result.charge == "none" then
      assert(count == 0, step .. ": " .. result.err)
    end
    assert(again.code == 0 and after == 1, step .. ": " .. again.err)
  end

  if LONG then
    it("that another process locks for longer than any wait is not sent, or settled by the next "
      .. "run", function()
      px.map({ "slots", "intent", "leaving", "answered", "unknown" }, locked_at,
        { concurrency = 5 })
    end)
  end

  it("that is damaged during the run is sent once at most, and reports the damage", function()
    for _, step in ipairs{ "quoted", "slots", "answered" } do
      local server, store = crash.server(), ("%s/%s.db"):format(folder, step)
      local client = crash.start(server, store, wanted("k"), { PROXYLUA_CRASH = step .. "=stop" })
      assert.is_true(client:stopped(), step)
      local line = "for f in %s %s-wal; do head -c 200000 /dev/urandom | dd of=$f conv=notrunc "
        .. "status=none; done"
      os.execute(line:format(store, store))
      client:signal("CONT")
      local result = client:join()
      local count = server:look("counters").sold
      if result.charge == "none" then assert.equal(0, count, step) end
      if result.id or result.charge == "made" then assert.equal(1, count, step) end
      local again = crash.run(server, store, wanted("k"))
      assert.equal("store", again.kind, step .. again.err)
      assert.equal(count, server:look("counters").sold, step)
      server:stop()
    end
  end)
end)
