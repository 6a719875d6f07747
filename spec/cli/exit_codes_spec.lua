local core = require "proxylua.core"
local program = require "spec.support.program"

-- A script that raises a px error of some kind ends with the code of the kind, and so does a
-- command that gets one.
describe("exit codes", function()
  local sandbox

  local function start(options)
    options.limits = options.limits or "off"
    sandbox = core.sandbox.start(options)
  end

  after_each(function() core.sandbox.stop() end)

  local function run(arguments, env)
    local variables = { PROXYLUA_BASE_URL = sandbox and sandbox.url, PROXYLUA_API_KEY = sandbox
      and sandbox.key,
      PROXYLUA_LIMITS = "off" }
    for name, value in pairs(env or {}) do variables[name] = value end
    return program.run(arguments, { env = variables })
  end

  it("comes with the error as a line of JSON, if the command prints JSON", function()
    start{}
    for words, wanted in pairs{
      [{ "--json", "orders", "get", "none" }] = { 3, "not_found", "orders.get", 404 },
      [{ "orders", "list", "--jsonl", "--frist" }] = { 2, "usage" },
      [{ "--jsonl", "orders", "create", "--type", "isp", "--quantity", "1" }] = { 6,
        "spend_refused", "orders.create" },
      [{ "--json", "fleet", "plan", "/none" }] = { 2, "config" },
    } do
      local result = run(words)
      local err = core.json.decode(result.err:match("^[^\n]+\n$")).error
      assert.are.same(wanted, { err.exit_code, err.kind, err.endpoint, err.status })
      assert.equal(wanted[1], result.code)
    end
  end)

  it("has one for each kind", function()
    sandbox = nil
    local kinds = {
      usage = 1, cancelled = 130, config = 2, auth = 3, forbidden = 3, not_found = 3, invalid = 3,
        funds = 3,
      key_reused = 3, upstream = 4, network = 4, timeout = 4, protocol = 4, rate_limited = 4,
        store = 4,
      outcome_unknown = 5, spend_refused = 6, internal = 1,
    }
    for kind, code in pairs(kinds) do
      local script =
        ("require('proxylua').error.raise{ kind = '%s', message = 'on purpose' }"):format(kind)
      local result = program.run{ "-e", script }
      assert.are.equal(code, result.code, kind)
      assert.has.match("on purpose", result.err)
    end
  end)

  it("is 0 when all went well, and 1 for any other failure of a script", function()
    assert.are.equal(0, program.run{ "-e", "" }.code)
    local result = program.run{ "-e", "local t = nil; print(t.x)" }
    assert.are.equal(1, result.code)
    assert.has.match("attempt to index.*stack traceback", result.err)
    assert.are.equal(1, program.run{ "-e", "error({})" }.code)
    assert.are.equal(1, program.run{ "-e", "x = = 1" }.code)
    assert.are.equal(7, program.run{ "-e", "os.exit(7)" }.code)
  end)

  it("is 2 for a wrong call or configuration", function()
    for _, arguments in ipairs{
      { "--nothing" }, { "--timeout" }, { "nothing" }, { "nothing.lua" }, { "/tmp" }, { "orders" },
      { "orders", "sell" }, { "orders", "get" }, { "orders", "list", "--limit" },
      { "account", "transactions", "--limit", "500" },
      { "orders", "create", "--type", "isp" }, { "-e", "", "orders", "list" },
        { "help", "nothing" }, { "-e" },
      { "--sandbox", "--base-url", "http://127.0.0.1:9", "-e", "" }, { "--lock", "../x", "-e", "" },
    } do
      local result = program.run(arguments, { env = { PROXYLUA_API_KEY = "sk_test_00000000" } })
      assert.are.equal(2, result.code, table.concat(arguments, " ") .. ": " .. result.err)
      assert.has.match("^proxylua: [^\n]+\n$", result.err)
    end
    local result = program.run{ "account", "get" }
    assert.are.equal(2, result.code)
    assert.has.match("PROXYLUA_API_KEY", result.err)
  end)

  local refusals = { [400] = 3, [401] = 3, [402] = 3, [403] = 3, [404] = 3, [502] = 4 }

  it("is 3 when the API refuses and 4 when it fails", function()
    for status, code in pairs(refusals) do
      start{ faults = { ("orders.get:status=%d"):format(status) } }
      local result = run{ "orders", "get", "ord_1" }
      assert.are.equal(code, result.code, result.err)
      assert.has.match("^proxylua: [^\n]+\n$", result.err)
      assert.is_nil(result.err:find("traceback"))
      result = run{ "-e", "require('proxylua').orders.get('ord_1')" }
      assert.are.equal(code, result.code, result.err)
      assert.has.match("stack traceback", result.err)
      core.sandbox.stop()
    end
  end)

  it("is 4 without a network, for an unreadable response, a timeout and a full store", function()
    start{ faults = { "account.get:delay=5" } }
    assert.are.equal(4, run({ "--timeout", "0.2s", "account", "get" }).code)
    core.sandbox.stop()
    start{ faults = { "account.get:garbage" } }
    assert.are.equal(4, run({ "account", "get" }).code)
    assert.are.equal(4, run({ "account", "get" },
      { PROXYLUA_BASE_URL = "http://127.0.0.1:1" }).code)
    assert.are.equal(4, run({ "account", "get" },
      { PROXYLUA_STORE = "/proc/nothing/state.db" }).code)
  end)

  local order = { "orders", "create", "--type", "isp", "--quantity", "1", "--country", "US",
    "--period", "30" }

  it("is 6 when spending is refused, and 3 when the balance is", function()
    start{ balance = "1000.00" }
    local result = run(order)
    assert.are.equal(6, result.code, result.err)
    assert.has.match("%-%-spend", result.err)
    core.sandbox.stop()
    start{ balance = "0.01" }
    result = run{ "--spend", "25", table.unpack(order) }
    assert.are.equal(3, result.code, result.err)
  end)

  it("is 130 when interrupted", function()
    local result = program.run{ "-e", "io.popen('kill -INT $PPID'):close() while true do end" }
    assert.are.equal(130, result.code, result.err)
    assert.has.match("interrupted.*stack traceback.*command line", result.err)
    result = program.run{ "-e",
      "io.popen('kill -INT $PPID'):close() require('proxylua').sleep(60)" }
    assert.are.equal(130, result.code, result.err)
  end)

  it("is 130 for an interrupted command, which leaves no traceback", function()
    start{ faults = { "account.get:delay=60" } }
    local function requests()
      local answer = core.http.get(sandbox.admin_url .. "/counters",
        { headers = { ["X-Sandbox-Key"] = sandbox.key } })
      return answer:json().requests["account.get"]
    end
    local home = program.folder()
    local line = program.command(home, { "account", "get" }, { PROXYLUA_BASE_URL = sandbox.url,
      PROXYLUA_API_KEY = sandbox.key })
    local pipe = io.popen(("exec 2>&1; %s & echo $!; wait $!; echo code $?"):format(line))
    local pid = pipe:read("n")
    while not requests() do core.task.sleep(0.01) end
    assert(os.execute(("kill -TERM %d"):format(pid)))
    assert.are.equal("\nproxylua: interrupted\ncode 130\n", pipe:read("a"))
    pipe:close()
    program.remove(home)
  end)

  it("is not 0 when standard output cannot take the data", function()
    for _, script in ipairs{ "print(('x'):rep(1e6))", "io.write('x')", "io.stdout:write('x')" } do
      local result = program.run({ "-e", script }, { to = "/dev/full" })
      assert.are.equal(4, result.code, script .. result.err)
      assert.has.match("standard output.*No space left", result.err)
    end
    local result = program.run({ "--sandbox", "account", "get" }, { to = "/dev/full" })
    assert.are.equal(4, result.code, result.err)
    assert.has.match("standard output.*No space left", result.err)
  end)

  it("is not 0 when the reader of the output has gone, without a message", function()
    for _, script in ipairs{ "while true do print('x') end",
      "while true do io.write('x\\n') end" } do
      local result = program.run({ "-e", script }, { unread = true })
      assert.are.equal("", result.err)
      assert.are_not.equal(0, result.code)
    end
  end)
end)
