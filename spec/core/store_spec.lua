-- src/store/store*.c: a store that cannot be used is a clear error, loses nothing, and lets nothing
-- through.

local children = require "spec.support.children"
local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local LIMITS = "general=60/60,orders=10/60"

-- A mount of one's own, gone with the process; nil where that is not permitted.
local function mounted(path, options, command)
  if not os.execute("unshare -rm true 2>/dev/null") then return nil end
  local line = "exec unshare -rm sh -c 'mount -t tmpfs -o %s tmpfs %s && %s'"
  return (line:format(options, path, command:gsub("'", "'\\''")))
end

describe("the store", function()
  local sandbox, folder, path

  before_each(function()
    sandbox = sandboxes.start{ limits = "off" }
    folder = program.folder()
    path = folder .. "/state.db"
  end)

  after_each(function()
    sandbox:stop()
    program.remove(folder)
  end)

  local function environment(store)
    return { PROXYLUA_STORE = store, PROXYLUA_LIMITS = LIMITS, PROXYLUA_BASE_URL = sandbox.url,
      PROXYLUA_API_KEY = sandbox.key, PROXYLUA_SPEND = "1000" }
  end

  local function run(code, store)
    return program.run({ "-e", "local px = require 'proxylua' " .. code },
      { env = environment(store or path) })
  end

  local function free()
    return tonumber(run("print(px.limits().general.free)").out)
  end

  -- A store that was in use.
  local function used()
    assert.equal(0, run("px.account.get()").code)
    sandbox:change("reset", { only = "counters" })
    return program.read(path)
  end

  -- The request fails with an error of kind store that says why, and nothing was sent.
  local function refused(why, store)
    local result =
      run("local _, e = px.try(px.account.get) print(e and e.kind) print(e and e.message)", store)
    local kind, message = result.out:match("(%S+)\n([^\n]*)")
    assert.equal("store", kind, result.err)
    assert.matches(why, message, 1, true)
    assert.matches(store or path, message, 1, true)
    assert.equal(4, run("px.account.get()", store).code)
    assert.same({}, sandbox:look("counters").requests)
  end

  local function mode(name)
    local pipe = assert(io.popen("stat -c %a " .. program.quote(name)))
    local text = pipe:read("l")
    pipe:close()
    return text
  end

  it("is created for its owner alone, like its folder", function()
    local env = environment()
    env.PROXYLUA_STORE = nil
    local result = program.run({ "-e", "require('proxylua').account.get()" },
      { home = folder, env = env })
    assert.equal(0, result.code, result.err)
    assert.equal("600", mode(folder .. "/state/proxylua/state.db"))
    assert.equal("700", mode(folder .. "/state/proxylua"))
  end)

  it("remembers slots from run to run", function()
    run("px.account.get() px.account.get()")
    assert.equal(58, free())
  end)

  it("that is not a database is left as it is", function()
    for name, text in pairs{ text = ("not a database\n"):rep(500), short = "x",
      zeros = ("\0"):rep(8192) } do
      program.write(path, text)
      refused("it is not an SQLite database and was not changed")
      assert.equal(text, program.read(path), name)
    end
  end)

  it("that is truncated is damaged, and is left as it is", function()
    local text = used()
    assert.is_true(#text > 8192)
    program.write(path, text:sub(1, 6000))
    refused("it is damaged and was not changed")
    assert.equal(text:sub(1, 6000), program.read(path))
  end)

  it("that is damaged within is left as it is", function()
    local text = used()
    local broken = text:sub(1, 4096) .. ("\xAA"):rep(#text - 4096)
    program.write(path, broken)
    refused("it is damaged and was not changed")
    assert.equal(broken, program.read(path))
  end)

  -- The version lies at byte 60 of an SQLite file, most significant byte first.
  it("of a newer version is left as it is", function()
    local text = used()
    local newer = text:sub(1, 60) .. ("\0\0\0\99") .. text:sub(65)
    program.write(path, newer)
    refused("a newer proxylua has written it")
    assert.equal(newer, program.read(path))
  end)

  -- The application's number lies at byte 68.
  it("of another program is left as it is", function()
    local text = used()
    local other = text:sub(1, 68) .. "mail" .. text:sub(73)
    program.write(path, other)
    refused("a database of another program")
    assert.equal(other, program.read(path))
  end)

  it("cannot be a folder, a device, or in a folder that does not exist", function()
    refused("it is a folder", folder)
    refused("it is not a regular file", "/dev/full")
    refused("create its folder first", folder .. "/none/state.db")
    refused("", "/proc/none/state.db")
  end)

  it("must be a path or a database", function()
    for location, why in pairs{ ["mysql://host/db"] = "must be a path",
      ["http://x/"] = "must be a path" } do
      local result = run("px.account.get()", location)
      assert.equal(2, result.code)
      assert.matches(why, result.err, 1, true)
    end
  end)

  -- Permissions do not hold root back; a file system that is mounted read-only does.
  it("that others can change is refused with what mends it", function()
    used()
    local function change(command, why)
      assert(os.execute((command:gsub("STORE", path))))
      refused(why)
    end
    for _, file in ipairs{ path, path .. "-wal", path .. "-lock" } do
      assert(os.execute(("touch %s && chmod 602 %s"):format(file, file)))
      refused(("can be changed by others: they could cause double purchases; run chmod go-w %s")
        :format(file))
      assert(os.execute("chmod 600 " .. file))
    end
    change("chmod 777 $(dirname STORE)", "run chmod go-w " .. folder)
    assert(os.execute("chmod 1777 " .. folder)) -- as /tmp
    used()
    assert(os.execute("chmod 700 " .. folder))
    if not os.execute("chgrp 54321 " .. path .. " 2>/dev/null") then
      return pending("only root can give a file to others")
    end
    change("chmod 660 STORE", "can be changed by its group")
    change("chmod 600 STORE && chown 54321 STORE", "belongs to another user")
    assert(os.execute(("chown 0:0 %s && chown 54321 %s"):format(path, folder)))
    refused("belongs to another user")
  end)

  it("that is read-only is a clear error", function()
    used()
    assert(os.execute(("mkdir %s/ro"):format(folder)))
    local store = folder .. "/ro/state.db"
    local command = program.command(folder, { "-e",
      "local _, e = require('proxylua').try(require('proxylua').account.get) io.write(e.kind, ' ', "
      .. "e.message)" },
      environment(store))
    local line = mounted(folder .. "/ro", "size=1m",
      ("cp %s %s && mount -o remount,ro %s/ro && %s"):format(path, store, folder, command))
    if not line then return pending("mounting is not permitted here") end
    local pipe = io.popen(line)
    local text = pipe:read("a")
    pipe:close()
    assert.matches("^store the store .* it is read%-only", text)
  end)

  it("on a full disk is a clear error, and no request goes", function()
    assert(os.execute(("mkdir %s/full"):format(folder)))
    local store = folder .. "/full/state.db"
    local command = program.command(folder, { "-e",
      "local _, e = require('proxylua').try(require('proxylua').account.get) io.write(e.kind, ' ', "
      .. "e.message)" },
      environment(store))
    local line = mounted(folder .. "/full", "size=16k",
      ("{ head -c 16384 /dev/zero >%s/full/zeros; %s; }"):format(folder, command))
    if not line then return pending("mounting is not permitted here") end
    local pipe = io.popen(line)
    local text = pipe:read("a")
    pipe:close()
    assert.matches("^store the store .*", text)
    assert.matches("make room", text)
    assert.same({}, sandbox:look("counters").requests)
  end)

  it("kept locked by a process that is stopped in a transaction is an error that names it",
    function()
    used()
    local group = children.start(1, folder, { path, "BEGIN IMMEDIATE",
      ".shell kill -STOP $PPID" }, {}, "/usr/bin/sqlite3")
    local pid = group.pids[1]
    while not program.read(("/proc/%d/stat"):format(pid)):find(") T", 1, true) do
      core.task.sleep(0.005)
    end
    local result = run("px.account.get()")
    assert.equal(4, result.code)
    assert.matches(("the process %d (sqlite3) keeps it locked and is stopped; continue it with "
      .. "kill -CONT %d, or end it"):format(pid, pid), result.err, 1, true)
    assert.same({}, sandbox:look("counters").requests)
    group:signal(1, "CONT")
    group:join()
    assert.equal(0, run("px.account.get()").code)
  end)

  it("is made by one of several processes that come to it at once", function()
    local script = program.write(folder .. "/get.lua", "require('proxylua').account.get()")
    for _, result in ipairs(children.start(8, folder, { script }, environment(path)):join()) do
      assert.same({ 0, "" }, { result.code, result.err })
    end
    assert.equal(52, free())
  end)

  it("that is moved away in the middle is made anew rather than written to unseen", function()
    local result = run(([[px.account.get()
      os.rename(%q, %q) os.remove(%q) os.remove(%q)
      px.account.get() print(px.limits().general.free)]]):format(path, path .. ".old", path ..
        "-wal", path .. "-shm"))
    assert.equal("59\n", result.out, result.err)
    assert.equal("600", mode(path))
  end)

  local BUY = [[
    local function buy() return px.try(px.orders.create,
      { type = "isp", quantity = 1, country = "US", period = 30 }) end
    assert(buy()) ]]

  -- In each command, S is the store and B a copy of before the run.
  for name, command in pairs{
    removed = "rm -f S*",
    ["moved away"] = "mv S S.old; rm -f S-*",
    ["removed with its folder"] = "rm -r $(dirname S)",
    ["cut off"] = "truncate -s 4096 S",
    ["emptied"] = "truncate -s 0 S S-wal",
    ["without the end of its log"] = "truncate -s 0 S-wal",
    ["without the end of its index"] = "cp B S; truncate -s 0 S-wal S-shm",
    ["replaced by an older copy"] = "rm -f S-*; cp B S.new && mv S.new S",
    ["overwritten with an older copy"] = "cp B S; truncate -s 0 S-wal",
    ["written to disk and then overwritten with an older copy"] =
      "sqlite3 S 'PRAGMA wal_checkpoint' >/dev/null; cp B S",
    ["set back by a restoration"] = "sqlite3 S '.restore B'",
  } do
    it("that is " .. name .. " during a run is an error before money moves", function()
      used()
      local before = sandbox.home .. "/before"
      assert(os.execute(("cp %s %s"):format(path, before)))
      local result = run((BUY .. [[
        os.execute(%q)
        local order, err = buy()
        print(order, err and err.kind)]]):format((command:gsub("S%f[%W]", path):gsub("B%f[%W]",
          before))))
      assert.equal("nil\tstore\n", result.out, result.err)
      assert.equal(1, sandbox:look("counters").sold)
    end)
  end

  -- SQLite would go on writing to the removed file, and lose all of that with the process.
  for name, command in pairs{
    ["its log"] = "rm S-wal", ["its index"] = "rm S-shm", ["both"] = "rm S-wal S-shm" } do
    it("of which somebody removes " .. name .. " during a run keeps all entries", function()
      local result = run((BUY .. [[
        os.execute(%q)
        assert(buy())
        os.execute("kill -9 $PPID")]]):format((command:gsub("S%f[%W]", path))))
      assert.not_equal(0, result.code)
      local list = run("for entry in px.journal.each() do io.write(entry.state, ' ') end")
      assert.equal("placed placed ", list.out, list.err)
    end)
  end

  it("of which the sums are changed during a run does not make the allowance larger", function()
    used()
    local result = program.run({ "--spend", "4", "-e", ([[
      local px = require "proxylua"
      for _ = 1, 3 do
        local order, err = px.try(px.orders.create,
          { type = "isp", quantity = 1, country = "US", period = 30 })
        print(order and "bought" or err.kind)
        os.execute("sqlite3 %s 'UPDATE spent SET amount = 0'")
      end]]):format(path) }, { env = environment(path) })
    assert.equal("bought\nspend_refused\nspend_refused\n", result.out, result.err)
  end)

  it("of which entries have been taken away during a run is an error before money moves", function()
    local result = run(([[
      local function buy() return px.try(px.orders.create,
        { type = "isp", quantity = 1, country = "US", period = 30 }) end
      assert(buy() and buy())
      os.execute(%q)
      local order, err = buy()
      print(order, err and err.kind, err and err.message)]]):format("sqlite3 " .. path
        .. " 'DELETE FROM charges WHERE id > 1; UPDATE sqlite_sequence SET seq = 1'"))
    assert.matches("^nil\tstore\t.*nothing was bought", result.out, result.err)
    assert.equal(2, sandbox:look("counters").sold)
  end)

  it("that a newer version has migrated during a run is a clear error", function()
    local result = run(([[px.account.get()
      os.execute(%q)
      local _, err = px.try(px.account.get)
      print(err and err.kind, err and err.message)]]):format("sqlite3 " .. path
        .. " 'PRAGMA user_version = 99'"))
    assert.matches("^store\t.* a newer proxylua has written it", result.out, result.err)
    assert.equal(1, sandbox:look("counters").requests["account.get"])
  end)

  it("full of slots from the far future heals itself", function()
    run("px.account.get()")
    local late = "9223372036854775807"
    local sql = ("UPDATE scopes SET slots = X'%s', paused_until = %s, probe_until = %s, "
      .. "paced_until = %s, next_at = %s")
      :format(("ffffffffffffff7f"):rep(60), late, late, late, late)
    assert(os.execute(("sqlite3 %s %s"):format(path, program.quote(sql))))
    assert.is_true(tonumber(run("print(px.limits().general.next)").out) <= 60.1)
  end)
end)
