-- proxylua auth and config: the key and the settings, as a new user gets them into place.

local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local terminals = require "spec.support.terminal"

describe("proxylua", function()
  local sandbox, home, folder

  setup(function() sandbox = sandboxes.start() end)
  teardown(function() sandbox:stop() end)

  before_each(function()
    home = program.folder()
    folder = home .. "/config/proxylua"
  end)

  after_each(function() program.remove(home) end)

  local function run(arguments, options)
    options = options or {}
    local env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_LIMITS = "off" }
    for name, value in pairs(options.env or {}) do env[name] = value end
    return program.run(arguments, { home = home, env = env, stdin = options.stdin })
  end

  local function mode_of(path)
    local pipe = assert(io.popen("stat -c %a " .. path))
    local mode = pipe:read("l")
    pipe:close()
    return mode
  end

  describe("auth login", function()
    it("reads the key from standard input, and saves it for this user alone", function()
      local result = run({ "auth", "login", "--limit", "9.30" }, { stdin = sandbox.key .. "\n" })
      assert.are.equal(0, result.code, result.err)
      assert.are.equal("", result.out)
      assert.has.match("the key of .*@.* is saved in " .. folder .. "/key; balance %d", result.err)
      assert.are.equal(sandbox.key .. "\n", program.read(folder .. "/key"))
      assert.are.equal("600", mode_of(folder .. "/key"))
      local status = run{ "--json", "auth", "status" }
      assert.are.equal(0, status.code, status.err)
      assert.is_truthy(status.out:find(folder .. "/key", 1, true), status.out)
      assert.has.match("9.30 per run", status.out)
      assert.are.equal("9.30\n", run{ "config", "get", "spend.per_run" }.out)
    end)

    it("saves nothing if the API refuses the key, or if the input is not a key", function()
      for _, case in ipairs{ { "sk_live_0000000000", 3, "nothing was saved. Copy the whole key" },
        { "", 2, "is empty" }, { "two words here", 2, "holds a space" } } do
        local result = run({ "auth", "login" }, { stdin = case[1] })
        assert.are.equal(case[2], result.code, result.err)
        assert.has.match(case[3], result.err)
        assert.is_nil(case[1] ~= "" and result.err:find(case[1], 1, true) or nil)
        assert.is_nil(io.open(folder .. "/key"))
      end
      local result = run({ "auth", "login", "--limit", "lots" }, { stdin = sandbox.key })
      assert.are.equal(2, result.code)
      assert.has.match("%-%-limit must be an amount", result.err)
      assert.are.equal(2, run({ "--sandbox", "auth", "login" }, { stdin = sandbox.key }).code)
    end)

    it("keeps a key for each profile", function()
      assert.are.equal(0, run({ "auth", "login" }, { stdin = sandbox.key }).code)
      local result = run({ "--profile", "work", "auth", "login" }, { stdin = sandbox.key })
      assert.are.equal(0, result.code, result.err)
      assert.are.equal("600", mode_of(folder .. "/key-work"))
      local status = run{ "--profile", "work", "auth", "status" }
      assert.is_truthy(status.out:find("key-work", 1, true), status.out .. status.err)
      assert.is_nil(run{ "auth", "status" }.out:find("key-work", 1, true))
    end)

    it("writes to the file that the config names, and warns of a key that wins over it", function()
      os.execute("mkdir -p " .. folder)
      program.write(folder .. "/config.lua", ("return { api_key_file = %q }"):format(home .. "/k"))
      local result = run({ "auth", "login" },
        { stdin = sandbox.key, env = { PROXYLUA_API_KEY = "sk_live_0000000000" } })
      assert.are.equal(0, result.code, result.err)
      assert.has.match("PROXYLUA_API_KEY is set too", result.err)
      assert.are.equal(sandbox.key .. "\n", program.read(home .. "/k"))
      assert.is_nil(io.open(folder .. "/config.set.lua"))
      program.write(folder .. "/config.lua", "return { api_key_command = 'cat key' }")
      result = run({ "auth", "login" }, { stdin = sandbox.key })
      assert.are.equal(2, result.code)
      assert.has.match("api_key_command is set and prints the key", result.err)
    end)

    it("asks at a terminal without an echo, and offers a limit", function()
      local terminal = terminals.open({ "auth", "login" }, { home = home,
        env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_LIMITS = "off" } })
      finally(function() terminal:close() end)
      terminal:await("not echoed")
      terminal:type(sandbox.key)
      terminal:press("Enter")
      terminal:await("always ask")
      terminal:type("lots")
      terminal:press("Enter")
      terminal:await("the limit must be an amount")
      terminal:type("12")
      terminal:press("Enter")
      local screen = terminal:await("exit 0")
      assert.is_nil(screen:find(sandbox.key, 1, true))
      assert.has.match("one run may spend 12", screen)
      assert.are.equal("12.00\n", run{ "config", "get", "spend.per_run" }.out)
    end)

    it("is ended by Ctrl-C at the question for the key", function()
      local terminal = terminals.open({ "auth", "login" }, { home = home,
        env = { PROXYLUA_BASE_URL = sandbox.url } })
      finally(function() terminal:close() end)
      terminal:await("not echoed")
      terminal:press("C-c")
      terminal:await("exit 130")
      assert.is_nil(io.open(folder .. "/key"))
    end)
  end)

  it("auth logout removes the key, and exits with code 12 when no key is saved", function()
    assert.are.equal(0, run({ "auth", "login" }, { stdin = sandbox.key }).code)
    local result = run{ "auth", "logout" }
    assert.are.equal(0, result.code, result.err)
    assert.is_nil(io.open(folder .. "/key"))
    assert.are.equal(12, run{ "auth", "logout" }.code)
    result = run{ "auth", "status" }
    assert.are.equal(2, result.code)
    assert.has.match("Run proxylua auth login.*%-%-sandbox", result.err)
  end)

  it("points from a key in the config to auth login", function()
    os.execute("mkdir -p " .. folder)
    for _, name in ipairs{ "api_key", "key", "token" } do
      program.write(folder .. "/config.lua", ("return { %s = %q }"):format(name, sandbox.key))
      local result = run{ "account", "get" }
      assert.are.equal(2, result.code)
      assert.has.match(name .. ": the configuration does not hold the key itself", result.err)
      assert.has.match("proxylua auth login", result.err)
      assert.is_nil(result.err:find(sandbox.key, 1, true))
    end
  end)

  describe("config", function()
    it("sets, gets, lists and removes settings, with and without a profile", function()
      assert.are.equal(12, run{ "config", "get", "spend.per_day" }.code)
      local result = run{ "config", "set", "spend.per_day", "100" }
      assert.are.equal(0, result.code, result.err)
      run{ "--profile", "quick", "config", "set", "timeout", "5s" }
      run{ "config", "set", "color", "false" }
      assert.are.equal("100.00\n", run{ "config", "get", "spend.per_day" }.out)
      assert.are.equal("30s\n", run{ "config", "get", "timeout" }.out)
      assert.are.equal("5s\n", run{ "--profile", "quick", "config", "get", "timeout" }.out)
      assert.is_truthy(run{ "config", "list" }.out:find(
        "color\tfalse\t" .. folder .. "/config.set.lua: color", 1, true))
      assert.are.equal("600", mode_of(folder .. "/config.set.lua"))
      run{ "config", "unset", "spend.per_day" }
      assert.are.equal(12, run{ "config", "get", "spend.per_day" }.code)
      assert.are.equal(folder .. "/config.lua\n", run{ "config", "path" }.out)
    end)

    it("refuses invalid values, and names of unknown settings", function()
      for words, pattern in pairs{ ["timeout soon"] = "timeout must be a duration such as",
        ["color yes"] = "color must be true or false", ["spend.per_run lots"] = "must be an amount",
        ["timeuot 5s"] = "did you mean timeout", ["store x.db"] = "must be an absolute path",
        ["base_url http://example.com"] = "neither https nor loopback" } do
        local name, value = words:match("(%S+) (%S+)")
        local result = run{ "config", "set", name, value }
        assert.are.equal(2, result.code, words)
        assert.has.match(pattern, result.err)
        assert.is_nil(io.open(folder .. "/config.set.lua"))
      end
    end)

    it("reports what takes precedence over a value that was set", function()
      os.execute("mkdir -p " .. folder)
      program.write(folder .. "/config.lua", "return { timeout = '7s' }")
      local result = run{ "config", "set", "timeout", "5s" }
      assert.are.equal(0, result.code)
      assert.has.match("config.lua: timeout takes precedence, with the value 7s", result.err)
      result = run({ "config", "set", "timeout", "5s" }, { env = { PROXYLUA_TIMEOUT = "8s" } })
      assert.has.match("PROXYLUA_TIMEOUT takes precedence, with the value 8s", result.err)
    end)

    it("opens the editor on a new file, and checks what was written", function()
      local editor = program.write(home .. "/editor",
        "#!/bin/sh\necho 'return { color = 5 }' >\"$1\"\n")
      os.execute("chmod +x " .. editor)
      local result = run({ "config", "edit" }, { env = { VISUAL = editor } })
      assert.are.equal(2, result.code)
      assert.has.match("config.lua: color must be true or false", result.err)
    end)
  end)
end)
