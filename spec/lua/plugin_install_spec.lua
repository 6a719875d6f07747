-- Installing plugins: whole or not at all, from folders, files and URLs, and what is loaded
-- afterwards.

local children = require "spec.support.children"
local core = require "proxylua.core"
local plugins = require "spec.support.plugins"
local program = require "spec.support.program"
local servers = require "spec.support.server"

describe("installing", function()
  local home

  before_each(function() home = plugins.home() end)
  after_each(function() home:remove() end)

  local function assert_refused(result, expected, code)
    assert.matches(expected, result.err, 1, true)
    assert.equals(code or 2, result.code)
  end

  -- What the plugin module of the program returns for a plugin, loaded in another process.
  local function open(name)
    return home:run("--json", "-e", ([[
      local plugin = require("proxylua.plugin.package.installed").open("%s")
      local paths = {}
      for path in pairs(plugin.modules) do paths[#paths + 1] = path end
      table.sort(paths)
      print(plugin.version, table.concat(paths, " "), plugin.permissions.read)]]):format(name))
  end

  it("puts a plugin from a folder in place, and says so in the list", function()
    home:install("trial", {
      manifest = "permissions = { read = true }",
      files = { ["lib/a.lua"] = "return 1", ["notes.txt"] = "x", [".git/config"] = "x",
        ["spec/main_spec.lua"] = "x" },
    })
    local entry = home:list().trial
    assert.same({ "1.0.0", home.path .. "/trial", { read = true } },
      { entry.version, entry.from, entry.permissions })
    local files = { ["plugin.lua"] = true, ["main.lua"] = true, ["lib/a.lua"] = true,
      ["notes.txt"] = true }
    for path, digest in pairs(entry.files) do
      assert.is_true(files[path])
      assert.equals(core.digest.sha256(program.read(home.path .. "/trial/" .. path)), digest)
      assert.equals(core.digest.sha256(program.read(home:place("trial") .. "/" .. path)), digest)
      files[path] = nil
    end
    assert.is_nil(next(files))
    assert.equals("1.0.0\tlib/a.lua main.lua\ttrue\n", open("trial").out)
    assert.equals(384, core.system.status(home:installed("lock.json")).mode)
  end)

  it("refuses to load what is not as it was installed, and says which file", function()
    local spoil = {
      ["main.lua was changed"] = "echo >>main.lua", ["a.lua is missing"] = "rm a.lua",
      ["more.lua was added"] = "echo >more.lua", ["main.lua was changed "] =
        "ln -sf /etc/passwd main.lua",
      [".hidden was added"] = "touch .hidden",
      ["a.lua was changed, main.lua was changed"] = "echo >a.lua; echo >main.lua",
    }
    home:install("trial", { files = { ["a.lua"] = "return 1" } })
    for expected, command in pairs(spoil) do
      assert(os.execute(("cd %s && { %s; }"):format(home:place("trial"), command)))
      assert_refused(open("trial"), (expected:gsub(" $", "")))
      assert.equals(0, home:run("plugin", "update", "trial").code)
    end
    assert.equals(0, open("trial").code)
    assert(os.execute("rm " .. home:place("trial") .. "/main.lua"))
    assert_refused(home:run("plugin", "info", "trial"), "has changed since its installation")
    local verified = home:run("plugin", "verify", "--json")
    assert.equals(2, verified.code)
    assert.equals("unsound", core.json.decode(verified.out)[1].state)
  end)

  it("believes no list that others can write, that is damaged, or that grants what was not asked "
    .. "for", function()
    home:install("trial", { manifest = "commands = { go = { run = 'go', summary = 'go' } }" })
    local path = home:installed("lock.json")
    local text = program.read(path)
    for _, case in ipairs{
      { text:sub(1, -20), "is damaged" }, { "[]", "is damaged" },
        { '{"plugins":{"trial":{}}}', "is damaged" },
      { (text:gsub('"trial": {', '"../trial": {')), "../trial is not a valid name of a plugin" },
      { (text:gsub('"digest": "', '%0../')), "digest of trial is not valid" },
      { (text:gsub('"permissions": {}', '"permissions": {"read": true}')),
        "asks for permissions other than the granted ones" },
      { (text:gsub('"on": %[%]', '"on": ["order_placed"]')), "differ in on of trial" },
      { (text:gsub('"formats": {}', '"formats": {"mine": {"summary": "m", "extension": "txt"}}')),
        "differ in formats of trial" },
      { (text:gsub('"rules": {}', '"rules": {"mine": {"summary": "m"}}')),
        "differ in rules of trial" },
      { (text:gsub('"version": "[^"]+"', '"version": "9.9.9"')), "differ in version of trial" },
    } do
      assert.are_not.equal(text, case[1])
      program.write(path, case[1])
      assert_refused(home:run("trial", "go"), case[2])
      assert_refused(open("trial"), case[2])
      assert.equals(0, home:run("help").code)
    end
    program.write(path, text)
    assert(os.execute("chmod o+w " .. path))
    assert_refused(open("trial"), "can be changed by others")
    assert(os.execute("chmod o-w " .. path))
    assert(os.execute("chmod o+w " .. home:installed()))
    assert_refused(open("trial"), "run chmod go-w")
    assert(os.execute("chmod o-w " .. home:installed()))
    assert(os.execute(("rm %s && mkfifo %s"):format(path, path)))
    assert_refused(open("trial"), "is not a regular file")
  end)

  it("takes an archive when its digest is the expected one", function()
    home:write("trial")
    local packed = home:ask("plugin", "pack", "trial", "-o", "t.plx")
    assert.equals(core.digest.sha256(program.read(home.path .. "/t.plx")), packed.sha256)
    assert_refused(home:run("plugin", "install", "t.plx", "--yes", "--sha256", ("0"):rep(64)),
      "does not have the expected SHA-256; it has " .. packed.sha256)
    assert_refused(home:run("plugin", "install", "t.plx", "--yes", "--sha256", "12"),
      "64 hexadecimal digits")
    assert_refused(home:run("plugin", "install", "trial", "--yes", "--sha256", packed.sha256),
      "only for an archive")
    assert.is_nil(core.system.kind(home:installed("trial")))
    assert.equals(0, home:run("plugin", "install", "t.plx", "--yes", "--sha256",
      packed.sha256:upper()).code)
  end)

  it("refuses what is not a plugin", function()
    local function refuse(name, bytes, expected)
      program.write(home.path .. "/" .. name, bytes)
      assert_refused(home:run("plugin", "install", name, "--yes"), expected)
    end
    local manifest = { name = "plugin.lua",
      data = 'return { name = "trial", version = "1.0.0", description = "x" }' }
    local main = { name = "main.lua", data = "return {}" }
    local sound = core.archive.write{ manifest, main }
    refuse("a.plx", "no zip at all", "it is not a zip")
    refuse("b.plx", sound:sub(1, -5), "it is not a zip, or is incomplete")
    refuse("c.plx", (sound:gsub("main%.lua", "../n.lua")), "has the part ..")
    refuse("d.plx", core.archive.write{ manifest }, "it has no main.lua")
    refuse("e.plx", core.archive.write{ main }, "it has no plugin.lua")
    refuse("f.plx", core.archive.write{ manifest, main, { name = "x.lua", data = "return (" } },
      "x.lua:1:")
    local calling = manifest.data:gsub("}", ', on = { balance_low = "lib.low" } }')
    refuse("i.plx", core.archive.write{ main, { name = "plugin.lua", data = calling } },
      "on.balance_low needs a module that")
    refuse("g.plx", core.archive.write{ manifest, main, { name = "x.lua", data = "\27Lua" } },
      "is compiled Lua")
    refuse("h.plx", core.archive.write{ manifest, main, { name = "x", data = ("0"):rep(3 << 20) } },
      "larger than it looks")
    for _, name in ipairs{ "spec/main_spec.lua", ".hidden", "lib/.git", "old.plx" } do
      refuse("j.plx", core.archive.write{ manifest, main, { name = name, data = "" } },
        name .. " cannot be part of a plugin")
    end
    refuse("k.plx", core.archive.write{ manifest, main, { name = "x\u{202E}aul.lua", data = "" } },
      "x?aul.lua has characters that hide")
    assert_refused(home:run("plugin", "install", "none.plx", "--yes"),
      "there is no plugin none.plx")
    home:write("linked")
    assert(os.execute("ln -s /etc/passwd " .. home.path .. "/linked/data"))
    assert_refused(home:run("plugin", "install", "linked", "--yes"), "is a link or a special file")
    assert.is_nil(core.system.kind(home:installed()))
  end)

  it("takes a plugin from a URL, and follows redirects to public https URLs only", function()
    home:write("trial")
    home:run("plugin", "pack", "trial", "-o", "t.plx")
    local function redirect(to)
      return ("HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"):format(to)
    end
    local server = servers.start{
      ["/t.plx"] = servers.ok(program.read(home.path .. "/t.plx")), ["/moved"] = redirect "/t.plx",
      ["/away"] = redirect "http://example.com/t.plx", ["/round"] = redirect "/round",
      ["/file"] = redirect "file:///etc/passwd",
      ["/large"] = { "HTTP/1.1 200 OK\r\n\r\n", endless = ("x"):rep(65536) },
      ["/to/127.0.0.1"] = redirect "https://127.0.0.1/t.plx",
      ["/to/localhost"] = redirect "https://localhost/t.plx",
      ["/to/10.0.0.1"] = redirect "https://10.0.0.1/t.plx",
      ["/to/169.254.169.254"] = redirect "https://169.254.169.254/t.plx",
      ["/to/[::1]"] = redirect "https://[::1]/t.plx",
    }
    finally(function() server:stop() end)
    local function install(path)
      return home:run("plugin", "install", server.url .. path, "--yes")
    end
    assert_refused(install "/none", "responds with status 404", 4)
    assert_refused(install "/away",
      "redirects to http://example.com/t.plx; only public https URLs are allowed")
    assert_refused(install "/file", "redirects to file:///etc/passwd")
    assert_refused(install "/round", "redirects to /round; only public")
    assert.are_not.equals(0, install("/large").code)
    assert_refused(home:run("plugin", "install", "http://example.com/t.plx", "--yes"),
      "must be https or loopback")
    assert_refused(home:run("plugin", "install", "http://127.0.0.1@example.com/t.plx", "--yes"),
      "must be https or loopback")
    assert.is_nil(core.system.kind(home:installed()))
    assert_refused(install "/moved", "only public https URLs are allowed")
    for _, host in ipairs{ "127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]" } do
      assert.are_not.equals(0, install("/to/" .. host).code, host)
    end
    assert.is_nil(core.system.kind(home:installed()))
    assert.equals(0, install("/t.plx").code)
    assert.equals(server.url .. "/t.plx", home:list().trial.from)
    assert.equals(0, home:run("plugin", "update", "--all").code)
    local result = home:run("plugin", "update", "trial", server.url:gsub("^http", "HTTP")
      .. "/t.plx")
    assert.equals(0, result.code, result.err)
  end)

  it("leaves everything as it was when the disk takes no more", function()
    local function install_within(blocks, ...)
      local line = program.command(home.path, { "plugin", ... })
      return os.execute(("ulimit -f %d; cd %s && %s >/dev/null 2>err"):format(blocks, home.path,
        line))
    end
    local folder = home:write("trial", { files = { ["large.txt"] = ("x"):rep(100000) } })
    assert.is_nil(install_within(8, "install", folder, "--yes"))
    assert.matches("cannot write", program.read(home.path .. "/err"), 1, true)
    assert.is_nil(core.system.kind(home:installed("lock.json")))
    assert.same({}, core.folder.list(home:installed("trial")))
    assert.equals(0, home:run("plugin", "install", folder, "--yes").code)
    local before = program.read(home:installed("lock.json"))
    home:write("trial", { version = "2.0.0", files = { ["large.txt"] = ("y"):rep(100000) } })
    assert.is_nil(install_within(8, "update", "trial"))
    assert.equals(before, program.read(home:installed("lock.json")))
    assert.equals("1.0.0\tmain.lua\tnil\n", open("trial").out)
    assert.equals(1, #core.folder.list(home:installed("trial")))
  end)

  it("clears what a crash has left", function()
    home:install("trial")
    local base = home:installed("trial")
    assert(os.execute(("mkdir -p %s/stage/x %s/0123456789abcdef && touch %s/stage/x/y"):format(base,
      base, base)))
    assert.equals(0, open("trial").code)
    home:write("trial", { version = "1.0.1" })
    assert.equals(0, home:run("plugin", "update", "trial").code)
    assert.same({ { name = home:list().trial.digest:sub(1, 16), kind = "folder" } },
      core.folder.list(base))
  end)

  -- The pauses cover an update from its start to its end; every file of a version holds that
  -- version.
  it("is whole or not at all, whenever it is killed", function()
    local function write(version)
      local files = { ["main.lua"] = ("return { version = function() return %q end }"):format(
        version) }
      for at = 1, 30 do files[("part%d.lua"):format(at)] = ("return %q"):format(version) end
      return home:write("trial", { version = version, files = files })
    end
    assert.equals(0, home:run("plugin", "install", write("1.0.0"), "--yes").code)
    local seen, pause, installed = {}, 0, "1.0.0"
    for round = 1, 16 do
      local wanted = ("1.0.%d"):format(round)
      local run = children.start(1, home.path, { "plugin", "update", "trial", write(wanted),
        "--yes" })
      core.task.sleep(pause)
      run:kill(1)
      local code = run:join()[1].code
      local version = home:list().trial.version
      assert.is_true(version == wanted or (version == installed and code ~= 0), version)
      assert.equals("sound", home:ask("plugin", "verify")[1].state)
      seen[code == 0 and "ended" or version == wanted and "late" or "early"] = true
      pause, installed = code == 0 and 0 or pause + 0.004, version
    end
    assert.is_true(seen.early)
    assert.equals(0, home:run("plugin", "update", "trial", write("2.0.0"), "--yes").code)
    assert.equals("2.0.0\n",
      home:run("-e", 'print(require("proxylua").plugin("trial").version())').out)
    assert.equals(1, #core.folder.list(home:installed("trial")))
  end)

  it("goes one at a time, so that several at once do no harm", function()
    local runs = {}
    for number = 1, 4 do
      local name = "trial" .. number
      runs[number] = children.start(2, home.path, { "plugin", "install", home:write(name),
        "--yes" })
    end
    for _, run in ipairs(runs) do
      local results = run:join()
      local codes = { results[1].code, results[2].code }
      table.sort(codes)
      assert.same({ 0, 2 }, codes, results[1].err .. results[2].err)
    end
    for _, row in ipairs(home:ask("plugin", "verify")) do
      assert.equals("sound", row.state, row.problem)
    end
    assert.equals(4, #home:ask("plugin", "list"))
  end)

  it("is read whole while it is replaced again and again", function()
    home:install("trial", { files = { ["a.lua"] = "return 0" } })
    local replace = [[
      local installed, source = require "proxylua.plugin.package.installed", require "proxylua.plugin.package.source"
      for number = 1, 40 do
        local plugin = source.of_files({ { name = "main.lua", data = "return " .. number },
          { name = "a.lua", data = "return " .. number }, { name = "plugin.lua",
          data = ('return { name = "trial", version = "1.0.%d", description = "x" }'):format(number) } }, "here")
        installed.install(plugin, installed.entry("trial"))
      end]]
    local read = [[
      local installed = require "proxylua.plugin.package.installed"
      for _ = 1, 200 do
        local plugin = installed.open("trial")
        assert(plugin.modules["a.lua"] == plugin.modules["main.lua"] or plugin.version == "1.0.0")
      end]]
    local writer = children.start(1, home.path, { "-e", replace })
    local readers = children.start(2, home.path, { "-e", read })
    assert.equals("", writer:join()[1].err)
    for _, result in ipairs(readers:join()) do assert.equals("", result.err) end
    assert.equals("1.0.40", home:list().trial.version)
  end)

  it("asks again only when a plugin wants to be allowed more", function()
    home:install("trial", { manifest = 'permissions = { read = true, net = { "example.com" } }' })
    home:write("trial", { version = "1.1.0", manifest = "permissions = { read = true }" })
    local result = home:run("plugin", "update", "trial")
    assert.equals("proxylua: updated trial from 1.0.0 to 1.1.0\n", result.err)
    home:write("trial", { version = "1.2.0",
      manifest = 'permissions = { read = true, env = { "HOME" } }' })
    result = home:run("plugin", "update", "--all")
    assert_refused(result, "--yes grants the permissions")
    assert.matches("It may\n  - read the environment variable HOME.\n", result.err, 1, true)
    assert.equals("1.1.0", home:list().trial.version)
    assert.equals(0, home:run("plugin", "update", "trial", "--yes").code)
    assert.same({ "HOME" }, home:list().trial.permissions.env)
    home:write("trial", { version = "1.3.0",
      manifest = [[permissions = { read = true, env = { "HOME" } },
      on = { order_placed = "placed" }]] })
    result = home:run("plugin", "update", "trial")
    assert_refused(result, "--yes grants the permissions")
    assert.matches("It may\n  - be notified, with all details, whenever an order is "
      .. "placed.\n", result.err, 1,
      true)
    assert.equals(0, home:run("plugin", "update", "trial", "--yes").code)
    assert.matches("is up to date", home:run("plugin", "update", "trial").err)
    assert_refused(home:run("plugin", "update", "trial", home:write("other")),
      "is the plugin other, not trial")
    assert_refused(home:run("plugin", "update"), "name a plugin, or use --all")
  end)

  -- Root is held back by no permissions of files unless it leaves that right behind.
  it("removes nothing that a link in a plugin leads to, though the link cannot be removed",
    function()
    home:install("trial")
    local place, other = home:place("trial"), home.path .. "/other"
    assert(os.execute(("mkdir %s && ln -s %s %s/link && chmod 555 %s"):format(other, other, place,
      place)))
    program.write(other .. "/mine", "1")
    local pipe = io.popen("id -u")
    local bound = pipe:read("n") == 0 and "setpriv --bounding-set -dac_override " or ""
    pipe:close()
    assert(os.execute(bound .. program.command(home.path, { "plugin", "remove", "trial" })
      .. " 2>/dev/null"))
    assert(os.execute("chmod 755 " .. place))
    assert.equals("1", program.read(other .. "/mine"))
  end)

  it("updates all whose sources are there, and says which are not", function()
    for _, name in ipairs{ "first", "second" } do home:install(name) end
    os.rename(home.path .. "/first", home.path .. "/moved")
    home:write("second", { version = "1.1.0" })
    local result = home:run("plugin", "update", "--all")
    assert_refused(result, "proxylua: first: there is no plugin " .. home.path
      .. "/first: no such file or folder")
    assert.matches("proxylua: not updated: first", result.err, 1, true)
    assert.equals("1.1.0", home:list().second.version)
  end)

  it("takes a plugin away", function()
    home:install("trial")
    home:install("other")
    assert.equals(0, home:run("plugin", "remove", "trial").code)
    assert.is_nil(home:list().trial)
    assert.is_nil(core.system.kind(home:installed("trial")))
    assert_refused(home:run("plugin", "remove", "trial"), "the plugin trial is not installed")
    program.write(home.path .. "/precious", "1")
    home:install("linked")
    assert(os.execute(("ln -s %s %s/link"):format(home.path, home:place("linked"))))
    assert.equals(0, home:run("plugin", "remove", "linked").code)
    assert.equals("1", program.read(home.path .. "/precious"))
    assert_refused(home:run("plugin", "remove", "othr"), "did you mean other?")
    assert.equals(0, home:run("plugin", "verify", "other").code)
  end)
end)
