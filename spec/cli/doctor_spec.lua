-- Each thing that doctor can find, made real.

local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"

describe("doctor", function()
  local sandbox, config, state

  before_each(function()
    sandbox = sandboxes.start{ limits = "general=60/60,orders=10/60" }
    config, state = sandbox.home .. "/config/proxylua", sandbox.home .. "/state/proxylua"
    core.system.make_folder(config)
  end)

  after_each(function() sandbox:stop() end)

  -- Returns the findings by check, and the exit code.
  local function doctor(env, ...)
    local all = { PROXYLUA_SETTLE = "", PROXYLUA_SPEND = "", PROXYLUA_LIMITS = "" }
    for name, value in pairs(env or {}) do all[name] = value end
    local result = sandbox:run({ "doctor", "--json", ... }, { env = all })
    assert.are.equal("", result.err)
    local report, found = core.json.decode(result.out), {}
    for _, finding in ipairs(report.findings) do
      assert.is_true(finding.state == "ok" or finding.state == "warn" or finding.state == "fail")
      if not found[finding.check] or finding.state ~= "ok" then found[finding.check] = finding end
    end
    assert.are.equal(report.code, result.code)
    assert.is_nil(result.out:find(sandbox.key, 1, true))
    return found, result.code
  end

  local function expect(found, check, status, text)
    assert.is_table(found[check], check .. " is missing")
    assert.are.equal(status, found[check].state, found[check].text)
    if text then assert.has.match(text, found[check].text) end
  end

  it("finds nothing wrong where nothing is", function()
    local found, code = doctor()
    assert.are.equal(0, code)
    for check, finding in pairs(found) do assert.are.equal("ok", finding.state, check) end
    expect(found, "config", "ok", "config.lua does not exist; the defaults are used")
    expect(found, "key", "ok", "PROXYLUA_API_KEY")
    expect(found, "store", "ok", "does not exist yet")
    expect(found, "network", "ok")
    expect(found, "account", "ok", "1000.00")
    expect(found, "clock", "ok")
    expect(found, "limit general", "ok", "59 of 60")
    expect(found, "journal", "ok", "no open entries")
    expect(doctor(), "store", "ok", "state.db %(SQLite, version %d+%)")
  end)

  it("names the file that config set wrote", function()
    program.write(config .. "/config.set.lua", "return { timeout = '9s' }")
    local found = doctor()
    expect(found, "config", "ok", "^[^,]*config.set.lua$")
    expect(found, "config.timeout", "ok", "9s")
  end)

  it("prints the source of each value", function()
    program.write(config .. "/config.lua",
      "return { max_wait = '7s', profiles = { quick = { settle = '9s' } } }")
    local found = doctor({ PROXYLUA_TIMEOUT = "11s" }, "--profile", "quick", "--spend", "2")
    expect(found, "config", "ok", "config.lua")
    expect(found, "config.max_wait", "ok", "^7s %(.*config.lua: max_wait%)$")
    expect(found, "config.settle", "ok", "^9s %(.*profiles.quick.settle%)$")
    expect(found, "config.timeout", "ok", "^11s %(PROXYLUA_TIMEOUT%)$")
    expect(found, "config.spend.per_run", "ok", "^2.00 %(%-%-spend%)$")
    expect(found, "config.limits", "ok", "%(default%)$")
  end)

  it("goes on behind a config file that cannot be used", function()
    for _, text in ipairs{ "return { tiemout = 5 }", "return {", "\27Lua" } do
      program.write(config .. "/config.lua", text)
      local found, code = doctor()
      assert.are.equal(2, code)
      expect(found, "config", "fail", "config.lua")
      expect(found, "network", "ok")
    end
    expect(doctor{ PROXYLUA_CONFIG = "/nothing.lua" }, "config", "fail", "/nothing.lua")
    program.write(config .. "/config.lua", "return {}")
    assert(os.execute("chmod o+w " .. config .. "/config.lua"))
    expect(doctor(), "config", "fail", "chmod")
    expect(doctor({}, "--sandbox", "--base-url", sandbox.url), "config", "fail",
      "use either %-%-sandbox or %-%-base%-url")
  end)

  it("goes on without a setting that is wrong, and names where it is from", function()
    local settings = { TIMEOUT = "timeout", SPEND = "spend.per_run", LIMITS = "limits",
      SETTLE = "settle" }
    for word, name in pairs(settings) do
      local variable = "PROXYLUA_" .. word
      local found, code = doctor{ [variable] = "long" }
      assert.are.equal(2, code)
      for check, finding in pairs(found) do
        assert.are.equal(check == "config." .. name and "fail" or "ok", finding.state, finding.text)
      end
      expect(found, "config." .. name, "fail", "^" .. variable)
      expect(found, "config", "ok")
      expect(found, "account", "ok", "1000.00")
    end
    expect(doctor({}, "--spend", "much"), "config.spend.per_run", "fail",
      "^%-%-spend must be an amount")
    program.write(config .. "/config.lua", "return { timeout = 'x', spend = { per_day = -1 } }")
    local found = doctor()
    expect(found, "config.timeout", "fail", "config.lua: timeout must be a duration such as")
    expect(found, "config.spend.per_day", "fail", "config.lua: spend.per_day must be an amount")
    expect(found, "account", "ok")
  end)

  it("asks no other API than the one that is meant", function()
    for _, url in ipairs{ "http://example.com", "example" } do
      local found = doctor{ PROXYLUA_BASE_URL = url }
      expect(found, "config.base_url", "fail", "^PROXYLUA_BASE_URL: the base URL ")
      expect(found, "key", "ok")
      expect(found, "store", "ok")
      assert.is_nil(found.network)
    end
  end)

  it("works without a key, and asks all the same whether the API is there", function()
    local found, code = doctor{ PROXYLUA_API_KEY = "" }
    assert.are.equal(2, code)
    expect(found, "key", "fail", "there is no API key")
    expect(found, "network", "ok", "status 401, without a key")
    expect(found, "clock", "ok")
    expect(found, "store", "ok")
  end)

  it("prints the source of the key, and what is wrong with it", function()
    program.write(config .. "/key", sandbox.key .. "\n")
    program.write(config .. "/config.lua", ("return { api_key_file = %q }"):format(config
      .. "/key"))
    assert(os.execute("chmod 600 " .. config .. "/key"))
    expect(doctor{ PROXYLUA_API_KEY = "" }, "key", "ok", "from the file .*/key$")
    assert(os.execute("chmod 644 " .. config .. "/key"))
    local found, code = doctor{ PROXYLUA_API_KEY = "" }
    assert.are.equal(2, code)
    expect(found, "key", "fail", "chmod 600")
    program.write(config .. "/config.lua",
      ("return { api_key_command = 'echo %s' }"):format(sandbox.key))
    found = doctor{ PROXYLUA_API_KEY = "" }
    expect(found, "key", "ok", "api_key_command")
    expect(found, "config.api_key_command", "ok", "^set ")
    program.write(config .. "/config.lua", "return { api_key_command = 'false' }")
    expect(doctor{ PROXYLUA_API_KEY = "" }, "key", "fail", "exit code 1")
    expect(doctor{ PROXYLUA_API_KEY = "x y" }, "key", "fail")
  end)

  it("reports a key that the API refuses", function()
    local found, code = doctor{ PROXYLUA_API_KEY = "sk_test_00000000" }
    assert.are.equal(3, code)
    expect(found, "network", "ok")
    expect(found, "account", "fail", "401")
  end)

  it("finds a store that is damaged, foreign, newer, open to others or out of reach", function()
    core.system.make_folder(state)
    local path = state .. "/state.db"
    local function store(text)
      program.write(path, text)
      assert(os.execute("chmod 600 " .. path))
      return doctor()
    end
    local found, code = store(("not a database"):rep(100))
    assert.are.equal(4, code)
    expect(found, "store", "fail")
    expect(found, "network", "ok", "without a key")
    assert.are.equal(("not a database"):rep(100), program.read(path))
    os.remove(path)
    assert(os.execute(("sqlite3 %s 'CREATE TABLE x(a)' && chmod 600 %s"):format(path, path)))
    expect(doctor(), "store", "fail", "another program")
    os.remove(path)
    doctor()
    assert(os.execute(("sqlite3 %s 'PRAGMA user_version=999' >/dev/null"):format(path)))
    expect(doctor(), "store", "fail", "newer")
    os.remove(path)
    doctor()
    assert(os.execute("chmod 644 " .. path))
    found, code = doctor()
    assert.are.equal(0, code)
    expect(found, "store", "warn", "open to other users %(mode 644%)")
    found, code = doctor({}, "--store", "/proc/nothing/state.db")
    assert.are.equal(4, code)
    expect(found, "store", "fail")
    expect(found, "network", "ok", "without a key")
    assert.is_nil(found.limits)
    assert(os.execute("chmod 755 " .. sandbox.home))
    expect(doctor({}, "--store", sandbox.home), "store", "fail", "is a folder")
    assert.is_nil(sandbox:run{ "doctor", "--store", sandbox.home }.out:find("chmod", 1, true),
      "it may be /tmp")
    found, code = doctor({}, "--store", "postgres://me:hidden@127.0.0.1:1/none")
    assert.are.equal(4, code)
    expect(found, "store", "fail")
    for _, finding in pairs(found) do assert.is_nil(finding.text:find("hidden", 1, true)) end
  end)

  it("finds an API that is not there", function()
    local found, code = doctor({}, "--base-url", "http://127.0.0.1:1")
    assert.are.equal(4, code)
    expect(found, "network", "fail", "connect")
    expect(found, "journal", "ok")
    found, code = doctor({ PROXYLUA_API_KEY = "" }, "--base-url", "http://127.0.0.1:1")
    assert.are.equal(2, code)
    expect(found, "network", "fail")
  end)

  it("compares the clocks", function()
    local function skewed(seconds)
      local date = os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + seconds)
      local server = servers.start{ ["/account"] = servers.ok('{"balance":"1"}', "Date: " .. date
        .. "\r\n") }
      local found, code = doctor({}, "--base-url", server.url)
      local without = doctor({ PROXYLUA_API_KEY = "" }, "--base-url", server.url)
      server:stop()
      return found, code, without
    end
    local found, code, without = skewed(3600)
    assert.are.equal(2, code)
    expect(found, "clock", "fail", "behind the clock of the API")
    expect(without, "clock", "fail", "behind the clock of the API")
    found, code = skewed(-20)
    assert.are.equal(0, code)
    expect(found, "clock", "warn", "ahead of the clock of the API")
  end)

  it("reports a pause that the server asked for", function()
    core.sandbox.stop()
    local home = sandbox.home
    sandbox = sandboxes.start{ faults = { "account.get:status=429,retry_after=40,count=1" } }
    program.remove(sandbox.home)
    sandbox.home = home
    local answer = sandbox:run({ "-e",
      "print(select(2, require('proxylua').try(require('proxylua').account.get, "
      .. "{ max_wait = 0 })).kind)" }, { env = { PROXYLUA_LIMITS = "" } })
    assert.are.equal("rate_limited\n", answer.out)
    local found, code = doctor()
    assert.are.equal(0, code)
    expect(found, "network", "warn", "not tried")
    expect(found, "limit general", "warn", "pause of %d+ s")
  end)

  it("reports charges of unknown outcome", function()
    sandbox:change("settings",
      { faults = { "orders.create:cut=after,count=1", "orders.list:status=500,skip=1",
      "account.transactions:status=500,skip=1" } })
    local bought = sandbox:run{ "orders", "create", "--type", "isp", "--quantity", "1", "--country",
      "US",
      "--key", "lost" }
    assert.are.equal(5, bought.code, bought.err)
    sandbox:change("settings", { faults = core.json.array{} })
    local found, code = doctor()
    assert.are.equal(0, code)
    expect(found, "journal", "warn", "the outcome is unknown: orders.create .*key lost")
    assert.has.match("journal settle lost", found.journal.advice)
    sandbox:run({ "journal", "settle", "lost", "not_placed" })
    expect(doctor(), "journal", "ok")
  end)

  it("prints lines in a pipe, a value a line with --jsonl, and needs no folder of its own",
    function()
    local result = program.run({ "doctor" },
      { env = { HOME = "", XDG_STATE_HOME = "", XDG_CONFIG_HOME = "",
      PROXYLUA_BASE_URL = sandbox.url } })
    assert.are.equal(2, result.code)
    assert.has.match("^state\tcheck\ttext\tadvice\n", result.out)
    assert.has.match("\nfail\tdoctor\t.*XDG_STATE_HOME", result.out)
    result = program.run{ "--sandbox", "doctor", "--jsonl" }
    for line in result.out:gmatch("[^\n]+") do assert.is_string(core.json.decode(line).check) end
    assert.are.equal(0, result.code)
  end)
end)
