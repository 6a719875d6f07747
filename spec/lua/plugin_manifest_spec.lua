-- plugin.lua read as data, its permissions in plain words, and versions.

local core = require "proxylua.core"
local manifests = require "proxylua.plugin.package.manifest"
local permissions = require "proxylua.plugin.package.permissions"
local versions = require "proxylua.plugin.package.version"

local sound = {
  name = '"trial"', version = '"1.2.0"', description = '"a trial"', requires = '">=0.1"',
  permissions = [[{ read = true, spend = { per_run = 25, per_day = "100.5" },
    files = { read = { "~/b/", "/a//b", "/a/b" }, write = { "~/out" } }, net = { "example.com", "api.example.com:8443" },
    env = { "TOKEN" }, exec = { "/usr/bin/true" } }]],
  commands = [[{ count = { run = "count", summary = "count them", options = {
    ["of-type"] = { type = "text", summary = "which", choices = { "isp", "mobile" }, default = "isp" },
    most = { type = "integer", summary = "how many", required = true }, fast = { summary = "hurry"
      } } } }]],
  on = '{ order_placed = "placed", balance_low = "lib.alarm.low" }',
  formats = '{ hosts = { run = "lib.alarm.hosts", summary = "one a line" } }',
  rules = '{ slow = { run = "is_slow", summary = "takes too long" } }',
}

-- The sound one with other fields; false leaves one out.
local function text_of(changes)
  local fields = {}
  for name, value in pairs(sound) do
    if changes[name] == nil then fields[#fields + 1] = ("%s = %s"):format(name, value) end
  end
  for name, value in pairs(changes) do
    if value then fields[#fields + 1] = ("%s = %s"):format(name, value) end
  end
  return "return { " .. table.concat(fields, ", ") .. " }"
end

local function refused(changes, expected)
  local ok, err = pcall(manifests.read, text_of(changes))
  assert.is_false(ok, expected)
  assert.equals("config", err.kind)
  assert.matches(expected, err.message, 1, true)
end

describe("a manifest", function()
  it("is read field by field", function()
    local manifest = manifests.read(text_of{})
    assert.same({ "trial", "1.2.0", "a trial", ">=0.1" },
      { manifest.name, manifest.version, manifest.description, manifest.requires })
    assert.same({
      read = true, spend = { per_run = "25.00", per_day = "100.50" },
      files = { read = { "/a/b", "~/b" }, write = { "~/out" } }, net = { "api.example.com:8443",
        "example.com" },
      env = { "TOKEN" }, exec = { "/usr/bin/true" },
    }, manifest.permissions)
    assert.equals("flag", manifest.commands.count.options.fast.type)
    assert.same({ order_placed = "placed", balance_low = "lib.alarm.low" }, manifest.on)
    assert.same({ hosts = { run = "lib.alarm.hosts", summary = "one a line", extension = "txt" } },
      manifest.formats)
    assert.same({ slow = { run = "is_slow", summary = "takes too long" } }, manifest.rules)
  end)

  it("needs little", function()
    local manifest = manifests.read(text_of{
      requires = false, permissions = false, commands = false, on = false, formats = false,
        rules = false,
    })
    assert.same({ {}, {}, {}, {}, {} },
      { manifest.permissions, manifest.commands, manifest.on, manifest.formats, manifest.rules })
  end)

  it("is data", function()
    for _, text in ipairs{ "return os.exit()", "while true do end", "return 1", "return {",
      "\27Lua",
      "return { name = print }" } do
      local ok, err = pcall(manifests.read, text)
      assert.is_false(ok)
      assert.equals("config", err.kind)
    end
  end)

  it("names the field that is wrong", function()
    local wrong = {
      name = { "1", '"Trial"', '"../x"', '"a_b"', '""', "false", '"' .. ("x"):rep(41) .. '"' },
      version = { "1", '"1.2"', '"1.2.x"', '"01.2.3"', '"1.2.3-"', "false" },
      description = { "1", '""', '"a\\nb"', '"\\27[2J"', '"a\\u{202E}b"', '"\\u{9B}2J"', '"\\xFF"',
        "false" },
        requires = { "1", '"1.2"', '">1.x"', '""' },
    }
    for field, values in pairs(wrong) do
      for _, value in ipairs(values) do
        refused({ [field] = value ~= "false" and value or false }, "plugin.lua: " .. field
          .. " must be ")
      end
    end
    refused({ permissions = "{ read = 1 }" }, "permissions.read must be true, or left out")
    refused({ permissions = "true" }, "permissions must be a table")
    refused({ permissions = "{ spend = 25 }" }, "permissions.spend must be a table")
    refused({ permissions = "{ spend = { per_run = 25 } }" },
      "permissions.spend.per_day is missing")
    refused({ permissions = '{ spend = { per_run = -1, per_day = 1 } }' },
      "permissions.spend.per_run must be an amount")
    refused({ permissions = '{ env = "TOKEN" }' }, "permissions.env must be a list")
    refused({ permissions = '{ env = { "A=B" } }' }, "permissions.env[1] must be the name")
    refused({ permissions = '{ env = { "HOME", "PROXYLUA_API_KEY" } }' },
      "permissions.env[2] must be a variable that is not")
    refused({ permissions = '{ exec = { "sh" } }' }, "permissions.exec[1] must be the absolute "
      .. "path")
    for _, host in ipairs{ "http://a.b", "a.b/c", "", "A.B", "a b", "a:0", "user@a", "*",
      "*.slack.com" } do
      refused({ permissions = ("{ net = { %q } }"):format(host) },
        "permissions.net[1] must be the name of one host")
    end
    for _, path in ipairs{ "a", "./a", "/", "~", "~/", "/a/../b", "/a/..", "~/./a", "", "/a\\0",
      "/a\\u{202E}b" } do
      refused({ permissions = ('{ files = { write = { "%s" } } }'):format(path) },
        "permissions.files.write[1] must be an absolute path")
    end
  end)

  it("names the nearest of what it does not know", function()
    refused({ permision = "{}" }, "unknown field permision, did you mean permissions?")
    refused({ permissions = "{ raed = true }" }, "unknown permissions.raed, did you mean read?")
    refused({ permissions = '{ files = { wirte = { "/a" } } }' },
      "unknown permissions.files.wirte, did you mean write?")
    refused({ on = '{ order_place = "x" }' },
      "unknown on.order_place, did you mean order_placed?")
    refused({ commands = '{ a = { runs = "x", summary = "y" } }' },
      "unknown commands.a.runs, did you mean run?")
  end)

  it("has commands that can be called", function()
    local function command(fields)
      return { commands = "{ a = { summary = 's', " .. fields .. " } }" }
    end
    local function option(name,
      fields) return command(('run = "f", options = { [%q] = { %s } }'):format(name,
      fields)) end
    for _, run in ipairs{ "1", '""', '"1f"', '"a..f"', '"a."', '".a"', '"a b"', '"os.execute()"',
      "{}" } do
      refused(command("run = " .. run), "commands.a.run must be the name of a function")
    end
    refused({ commands = '{ ["A b"] = {} }' }, "commands.A b is not a valid name of a command")
    refused({ commands = '{ a = { run = "f" } }' }, "commands.a.summary must be a text")
    refused({ commands = "{ a = 1 }" }, "commands.a must be a table")
    refused(option("Type", "summary = 's'"), "commands.a.options.Type is not a valid name of an "
      .. "option")
    refused(option("json", "summary = 's'"),
      "commands.a.options.json is a global option")
    refused(option("x-y", ""), "commands.a.options.x-y.summary must be a text")
    refused(option("x-y", "summary = 's', type = 'list'"),
      "commands.a.options.x-y.type must be flag, text, integer or number")
    refused(option("x-y", "summary = 's', required = true"),
      "commands.a.options.x-y.required cannot be used for a flag")
    refused(option("x-y", "summary = 's', type = 'integer', default = 1.5"),
      "x-y.default must have the type integer")
    refused(option("x-y", "summary = 's', type = 'integer', choices = { 'a' }"),
      "x-y.choices can be used only for the type text")
  end)

  it("has formats and rules that can be called, under names of their own", function()
    local sound_row = "{ run = 'f', summary = 's' }"
    for _, name in ipairs{ "clash", "mihomo", "url" } do
      refused({ formats = ("{ [%q] = %s }"):format(name, sound_row) },
        ("formats.%s is already a format of proxylua"):format(name))
    end
    refused({ rules = "{ timeout = " .. sound_row .. " }" },
      "rules.timeout is already a reason of proxylua")
    refused({ formats = "{ ['A b'] = " .. sound_row .. " }" }, "formats.A b is not a valid name")
    refused({ rules = "{ " .. sound_row .. " }" }, "rules.1 is not a valid name")
    refused({ formats = "{ a = 1 }" }, "formats.a must be a table")
    refused({ formats = "{ a = { run = 'f' } }" }, "formats.a.summary must be a text")
    refused({ formats = "{ a = { summary = 's' } }" }, "formats.a.run must be the name of a "
      .. "function")
    refused({ formats = "{ a = { run = 'f', summary = 's', extension = '../x' } }" },
      "formats.a.extension must be the")
    refused({ rules = "{ a = { run = 'f', summary = 's', fn = 1 } }" }, "unknown rules.a.fn")
    refused({ rules = 1 }, "rules must be a table")
  end)

  it("never takes the name of one of the program's commands", function()
    for _, name in ipairs{ "orders", "plugin", "journal", "help", "doctor" } do
      refused({ name = ("%q"):format(name) }, name .. " is already a command of proxylua")
    end
  end)

  it("says which versions of the program it needs", function()
    manifests.check_runtime(manifests.read(text_of{ requires = ('"=%s"'):format(core.version) }))
    local ok, err = pcall(manifests.check_runtime, manifests.read(text_of{ requires = '">=99"' }))
    assert.is_false(ok)
    assert.matches("trial 1.2.0 requires proxylua >=99, but this is " .. core.version, err.message,
      1, true)
  end)
end)

describe("permissions", function()
  local function growth(old, new)
    return #permissions.growth({ permissions = old }, { permissions = new })
  end

  it("are listed in plain words", function()
    assert.same({}, permissions.words{ permissions = {} })
    local words = table.concat(permissions.words(manifests.read(text_of{})), "\n")
    for _, expected in ipairs{
      "read your account", "up to 25.00 per run", "up to 100.50 per day", "read files in /a/b",
        "write and replace files in ~/out",
      "send data to and receive data from example.com", "variable TOKEN", "run the program "
        .. "/usr/bin/true",
      "in the format hosts, and see the passwords", "the rule slow to every check, and see the",
      "be notified, with all details, whenever the balance is low",
    } do
      assert.matches(expected, words, 1, true)
    end
  end)

  it("grow when something is allowed that was not", function()
    local all = manifests.read(text_of{}).permissions
    assert.equals(0, growth(all, all))
    assert.equals(0, growth(all, {}))
    assert.equals(#permissions.words{ permissions = all }, growth({}, all))
    assert.equals(0, growth(all, { spend = { per_run = "25.00", per_day = "3.00" } }))
    assert.equals(1, growth(all, { spend = { per_run = "25.01", per_day = "3.00" } }))
    assert.equals(0, growth({ spend = { per_run = "100.00", per_day = "100.00" } },
      { spend = { per_run = "20.00",
      per_day = "9.00" } }))
    assert.equals(1, growth(all, { net = { "example.com", "example.org" } }))
    assert.equals(1, growth(all, { files = { write = { "/a/b" } } }))
  end)
end)

describe("versions", function()
  local function order(a, b)
    return versions.compare(versions.parse(a), versions.parse(b))
  end

  it("come in the order of semver.org", function()
    local sorted = { "0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
      "1.0.0-beta.2",
      "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.10.0", "2.0.0" }
    for i, a in ipairs(sorted) do
      for j, b in ipairs(sorted) do assert.equals(i < j and -1 or i > j and 1 or 0, order(a, b)) end
    end
    assert.equals(0, order("1.0.0+a", "1.0.0+b.c"))
  end)

  it("are refused when invalid", function()
    for _, text in ipairs{ "", "1", "1.2", "1.2.3.4", "v1.2.3", "1.2.03", "1.2.3-01", "1.2.3-a..b",
      "1.2.3+",
      "1.2.3 ", "-1.2.3" } do
      assert.is_nil(versions.parse(text), text)
    end
  end)

  it("lie in ranges", function()
    for _, case in ipairs{
      { "1.2.3", ">=1.2 <2", true }, { "2.0.0", ">=1.2 <2", false }, { "1.2.3", "^1.2", true },
        { "2.0.0", "^1.2",
        false },
      { "2.0.0-rc.1", "^1.2", false }, { "0.2.5", "^0.2.1", true }, { "0.3.0", "^0.2.1", false },
        { "1.0.0", "=1",
        true },
      { "1.0.0", ">1", false }, { "1.0.0-a", ">=1", false }, { "0.1.0", "<=0.1.0", true },
    } do
      assert.equals(case[3], versions.fits(case[1], case[2]), table.concat({ case[1], case[2] },
        " "))
    end
    for _, text in ipairs{ "", "1.2", "~1", ">=", ">= 1", "^=1", ">=1.2.3.4",
      ">=a" } do assert.is_nil(versions.range(text), text) end
  end)
end)
