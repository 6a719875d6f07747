local program = require "spec.support.program"

-- Prints settings and where they came from; the last argument of the program is a chunk that
-- returns the flags.
local show = [[
local flags = ...
local settings, sources = require("proxylua.settings").read(load(flags)())
local core = require "proxylua.core"
for name, from in pairs(sources) do
  local value = settings
  for part in name:gmatch("[^.]+") do value = value[part] end
  print(name, core.money.is(value) and "money " .. tostring(value) or value, from)
end
]]

describe("the configuration", function()
  local home, path

  before_each(function()
    home = program.folder()
    assert(os.execute("mkdir -p " .. home .. "/config/proxylua"))
    path = home .. "/config/proxylua/config.lua"
  end)

  after_each(function() program.remove(home) end)

  local function read(text, flags, env)
    if text then program.write(path, text) end
    local script = program.write(home .. "/show.lua", show)
    local result = program.run({ script, "return " .. (flags or "{}") }, { home = home, env = env })
    assert.are.equal("", result.err)
    local values, sources = {}, {}
    for name, value, from in result.out:gmatch("(%S+)\t(%S[^\t\n]*)\t([^\n]*)\n") do
      values[name], sources[name] = value, from
    end
    return values, sources
  end

  local function refused(text, arguments, env)
    if text then program.write(path, text) end
    local result = program.run(arguments or { "-e", "" }, { home = home, env = env })
    assert.are.equal(2, result.code, result.err)
    assert.are.equal("", result.out)
    return result.err
  end

  it("has defaults where nothing is set", function()
    local values, sources = read(nil)
    assert.are.equal("https://api.1001proxy.io/api/v1", values.base_url)
    assert.are.equal("30", values.timeout)
    assert.are.equal("default", sources.limits)
    assert.is_nil(values["spend.per_run"])
    assert.is_nil(values.store)
  end)

  it("takes a flag before the environment, that before the file, that before the default",
    function()
    local text = "return { timeout = '7s', store = '/tmp/a.db', max_wait = '9s' }"
    local env = { PROXYLUA_TIMEOUT = "8s", PROXYLUA_STORE = "/tmp/b.db", PROXYLUA_SETTLE = "" }
    local values, sources = read(text, "{ timeout = '9s' }", env)
    assert.are.equal("9", values.timeout)
    assert.are.equal("--timeout", sources.timeout)
    assert.are.equal("/tmp/b.db", values.store)
    assert.are.equal("PROXYLUA_STORE", sources.store)
    assert.are.equal("9", values.max_wait)
    assert.are.equal(path .. ": max_wait", sources.max_wait)
    assert.are.equal("60", values.settle)
  end)

  it("reads every variable of the environment", function()
    local values = read(nil, nil, {
      PROXYLUA_BASE_URL = "http://127.0.0.1:9/x", PROXYLUA_STORE = "/s", PROXYLUA_SPEND = "9.30",
      PROXYLUA_LIMITS = "off", PROXYLUA_TIMEOUT = "1.5s", PROXYLUA_SETTLE = "2s",
    })
    assert.are.same({ "http://127.0.0.1:9/x", "/s", "money 9.30", "off", "1.5", "2.0" }, {
      values.base_url, values.store, values["spend.per_run"], values.limits, values.timeout,
      ("%.1f"):format(values.settle),
    })
  end)

  it("has profiles, which keep what they do not set", function()
    local text = [[return {
      timeout = "5s", spend = { per_run = 10, per_day = "50.5" },
      profiles = { quick = { timeout = "1s", spend = { per_run = 3 } } },
    }]]
    local values, sources = read(text, "{ profile = 'quick' }")
    assert.are.equal("1", values.timeout)
    assert.are.equal(path .. ": profiles.quick.timeout", sources.timeout)
    assert.are.equal("money 3.00", values["spend.per_run"])
    assert.are.equal("money 50.50", values["spend.per_day"])
    assert.has.match("no profile quik, did you mean quick",
      refused(text, { "--profile", "quik", "-e", "" }))
    assert.has.match("no profile", refused(nil, { "--profile", "other", "-e", "" }))
    os.remove(path)
    assert.has.match("no config file at", refused(nil, { "--profile", "quick", "-e", "" }))
  end)

  it("expands ~/ and refuses paths of the working directory", function()
    assert.are.equal(home .. "/key", read("return { api_key_file = '~/key' }").api_key_file)
    assert.has.match("api_key_file must be an absolute path.*got key",
      refused("return { api_key_file = 'key' }"))
    assert.has.match("store must be an absolute path", refused("return { store = 'state.db' }"))
  end)

  it("refuses unknown keys and names the nearest", function()
    assert.has.match("unknown setting base_ulr, did you mean base_url",
      refused("return { base_ulr = 'https://x' }"))
    assert.has.match("unknown setting spend%.per_dya, did you mean per_day",
      refused("return { spend = { per_dya = 1 } }"))
    assert.has.match("unknown setting profiles%.a%.tiemout, did you mean timeout",
      refused("return { profiles = { a = { tiemout = 1 } } }"))
    assert.has.match("unknown setting 1", refused("return { 'x' }"))
  end)

  it("checks types", function()
    local wrong = {
      ["base_url = 5"] = "base_url must be a text, got 5",
      ["timeout = '0s'"] = "timeout must be a duration from 1ms",
      ["timeout = -5"] = "timeout must be a duration such as",
      ["settle = '5 s'"] = 'settle must be a duration such as "90s"',
      ["max_wait = 1e400"] = "max_wait must be a duration such as",
      ["color = 'yes'"] = "color must be true or false",
      ["spend = 25"] = "spend must be a table",
      ["spend = { per_run = 'lots' }"] = "spend%.per_run must be an amount",
      ["spend = { per_run = -1 }"] = "spend%.per_run must be an amount",
      ["limits = ''"] = "limits must be a text",
      ["limits = 'many'"] = "many",
      ["profiles = { a = 1 }"] = "profiles%.a must be a table",
      ["profiles = { a = { profiles = {} } }"] = "cannot contain profiles",
      ["base_url = 'http://example.com'"] = "neither https nor loopback",
    }
    for text, message in pairs(wrong) do
      assert.has.match(message, refused("return { " .. text .. " }"))
    end
    local message = refused("return {}", nil, { PROXYLUA_TIMEOUT = "soon" })
    assert.has.match("PROXYLUA_TIMEOUT must be a duration such as 90s", message)
    assert.has.match("%-%-spend must be an amount",
      refused("return {}", { "--spend", "all", "-e", "" }))
    assert.has.match("%-%-timeout must be a duration",
      refused("return {}", { "--timeout=nan", "-e", "" }))
  end)

  it("is read once in a run, also in one that plans, asks for the limits and applies", function()
    local pools = program.write(home .. "/fleet.lua",
      "return { { name = 'us', type = 'ipv6', quantity = 1 } }")
    assert(os.execute(("cp -r lua %s/lua"):format(home)))
    local copy = home .. "/lua/proxylua/settings.lua"
    program.write(copy, (program.read(copy):gsub("return M%s*$", [[
      local read = M.read
      function M.read(...) io.stderr:write("read ") return read(...) end
      return M]])))
    for _, words in ipairs{ { "fleet", "apply", pools }, { "renew", "--within", "3d" } } do
      local result = program.run({ "--sandbox", "--spend", "30", "--json",
        table.unpack(words) }, { env = { PROXYLUA_LUA_DIR = home .. "/lua" } })
      assert.are.equal(0, result.code)
      assert.are.equal("read ", result.err)
    end
  end)

  it("refuses times without a unit, wherever they are set", function()
    assert.has.match('max_wait must be a duration with a unit, such as "7s"',
      refused("return { max_wait = 7 }"))
    assert.has.match("PROXYLUA_SETTLE must be a duration with a unit, such as 0.5s",
      refused("return {}", nil, { PROXYLUA_SETTLE = "0.5" }))
    assert.has.match("%-%-timeout must be a duration with a unit, such as 9s",
      refused("return {}", { "--timeout", "9", "-e", "" }))
  end)

  it("says where a mistake in the file is", function()
    assert.has.match("config.lua:2:", refused("return {\n timeout = = 5 }"))
    assert.has.match("must return a table", refused("timeout = 5"))
    assert.has.match("global 'os'", refused("return { api_key_file = os.getenv('HOME') }"))
  end)

  it("ends a file that does not end", function()
    assert.has.match("computes for too long", refused("while true do end"))
  end)

  it("takes another file from PROXYLUA_CONFIG, which must be there", function()
    local other = program.write(home .. "/other.lua", "return { timeout = '4s' }")
    assert.are.equal("4", read("return { timeout = '5s' }",
      nil, { PROXYLUA_CONFIG = other }).timeout)
    local message = refused(nil, nil, { PROXYLUA_CONFIG = home .. "/nothing.lua" })
    assert.has.match("cannot read the config file .*nothing.lua: No such file", message)
    assert.has.match("cannot read the config file", refused(nil, nil, { PROXYLUA_CONFIG = home }))
  end)

  it("refuses a file that others can change", function()
    program.write(path, "return {}")
    assert(os.execute("chmod 666 " .. path))
    assert.has.match("can be changed by others; run chmod go%-w", refused())
  end)

  it("refuses a file that a group can change, but for the user's private group", function()
    program.write(path, "return { timeout = '5s' }")
    local pipe = io.popen("id -un; id -gn; stat -c %G " .. path)
    local user, group, owner = pipe:read("l", "l", "l")
    pipe:close()
    assert(os.execute("chmod 664 " .. path))
    if user == group and group == owner then
      assert.are.equal("5", read(nil).timeout)
    end
    if not os.execute("chgrp 54321 " .. path .. " 2>/dev/null") then
      return pending("only root can give a file to another group")
    end
    assert.has.match("can be changed by its group; run chmod go%-w", refused())
  end)

  it("refuses a FIFO or a device at once", function()
    local pipe = home .. "/pipe"
    assert(os.execute("mkfifo " .. pipe))
    for _, other in ipairs{ pipe, "/dev/zero" } do
      assert.has.match("is not a regular file", refused(nil, nil, { PROXYLUA_CONFIG = other }))
    end
    assert(os.execute("mkdir -p " .. home .. "/state/proxylua/locks && mkfifo " .. home
      .. "/state/proxylua/locks/one"))
    local result = program.run({ "--lock", "one", "-e", "" }, { home = home })
    assert.are.equal(2, result.code, result.err)
    assert.has.match("is not a regular file", result.err)
  end)

  it("never looks in the working directory", function()
    program.write(home .. "/config.lua", "return { timeout = '3s' }")
    assert.are.equal("30", read(nil).timeout)
    local result = program.run({ home .. "/show.lua", "return {}" },
      { home = home, cwd = home, env = { XDG_CONFIG_HOME = ".", HOME = "." } })
    assert.has.match("timeout\t30\tdefault", result.out)
  end)
end)
