-- Bundles: one program that does what the script does, on a machine that has nothing, and does
-- nothing at all when it is not what it was.

local core = require "proxylua.core"
local plugins = require "spec.support.plugins"
local program = require "spec.support.program"
local servers = require "spec.support.server"

local quote, write, read = program.quote, program.write, program.read

local KEY = "sk_live_bundle_spec_0123456789"

local function shell(line, ...)
  assert(os.execute(line:format(...)), line)
end

-- What a command prints, both streams; its exit code.
local function output(line, ...)
  local pipe = assert(io.popen(line:format(...) .. " 2>&1"))
  local text = pipe:read("a")
  local _, _, code = pipe:close()
  return text, code
end

-- A folder with an app, its modules beside it and others in vendor/.
local function make_app(folder)
  shell("mkdir -p %s/app/parts %s/app/vendor/deep", folder, folder)
  write(folder .. "/app/shop.lua", [[
#!/usr/bin/env proxylua
local px = require "proxylua"
local greet = require "greet"
if ... == "late" then require "parts" end
if ... == "boom" then greet.boom() end
if ... == "buy" then print(px.orders.create{ type = "isp", quantity = 1, key = "k" }.quantity) end
if ... == "refused" then px.orders.get("ord_none") end
if ... == "read" then print(io.read("a")) end
print(greet.text, require("deep.low"), arg[0], #arg, ...)
]])
  write(folder .. "/app/greet.lua",
    "local M = { text = 'hello' }\nfunction M.boom() error('boom') end\nreturn M")
  write(folder .. "/app/parts/init.lua", "return require 'parts.more'")
  write(folder .. "/app/parts/more.lua", "return 1")
  write(folder .. "/app/vendor/deep/low.lua", "return 'low'")
  write(folder .. "/app/vendor/unused.lua", "return {}")
  write(folder .. "/app/vendor/.hidden.lua", "no Lua at all")
end

local function bundle(folder, arguments, options)
  options = options or {}
  options.cwd = options.cwd or folder .. "/app"
  return program.run(table.move(arguments, 1, #arguments, 2, { "bundle" }), options)
end

-- Returns its message when it ends with 2 and has written nothing.
local function refused(folder, arguments, options)
  local result = bundle(folder, arguments, options)
  assert.are.equal(2, result.code, result.err)
  assert.is_nil(core.system.kind(folder .. "/app/out"))
  return result.err
end

describe("a bundle", function()
  local folder, runtime, app, size, begin

  setup(function()
    folder = program.folder()
    make_app(folder)
    runtime = folder .. "/runtime" -- stripped, since it is copied so often
    shell("cp %s %s && strip %s", program.path, runtime, runtime)
    local result = bundle(folder, { "shop.lua", "--module", "vendor/", "-o", "../shop" },
      { program = runtime })
    assert.are.equal(0, result.code, result.err)
    app = folder .. "/shop"
    size = #read(app)
    begin = #read(runtime)
  end)

  teardown(function() program.remove(folder) end)

  local function run(arguments, options, path)
    options = options or {}
    options.program = path or app
    return program.run(arguments, options)
  end

  -- A copy of the app with its bytes changed by a function.
  local function changed(change)
    local path = folder .. "/changed"
    write(path, change(read(app)))
    shell("chmod 755 %s", path)
    return path
  end

  -- Its exit code is 2, nothing is printed, and nothing of the app has run.
  local function damaged(pattern, path, arguments)
    local result = run(arguments or {}, {}, path)
    assert.are.equal(2, result.code, result.err)
    assert.are.equal("", result.out)
    assert.matches(pattern, result.err)
  end

  it("runs the script with its modules and arguments, from anywhere and without an environment",
    function()
    local line = ("cd / && env -i %s %s one --two --help"):format(os.getenv("ASAN_OPTIONS") and
      "ASAN_OPTIONS=" .. quote(os.getenv("ASAN_OPTIONS")) or "", app)
    local text, code = output("%s", line)
    assert.are.equal(("hello\tlow\t%s\t3\tone\t--two\t--help\n"):format(app), text)
    assert.is_nil(code ~= 0 and code or nil)
  end)

  it("ends as the script does", function()
    assert.are.equal(0, run({ "late" }).code)
    local boom = run{ "boom" }
    assert.are.equal(1, boom.code)
    assert.matches("greet.lua:2: boom", boom.err, 1, true)
    assert.matches("shop.lua:5: in main chunk", boom.err, 1, true)
    assert.are.equal(3, run({ "--proxylua-sandbox", "refused" }).code)
    assert.matches("^typed\n", run({ "read" }, { stdin = "typed" }).out)
  end)

  it("takes settings from the environment, and from words at the front that are the runtime's",
    function()
    assert.are.equal(6, run({ "--proxylua-sandbox", "buy" }).code)
    assert.matches("^1\n", run({ "--proxylua-sandbox", "buy" },
      { env = { PROXYLUA_SPEND = "20" } }).out)
    assert.matches("^1\n", run({ "--proxylua-sandbox", "--proxylua-spend", "20", "buy" }).out)
    assert.matches("^1\n", run({ "--proxylua-spend=20", "--proxylua-sandbox", "buy" }).out)
    assert.matches("\t2\tx\t%-%-proxylua%-info\n$", run({ "x", "--proxylua-info" }).out)
    for word, pattern in pairs{ ["--proxylua-sandbx"] = "unknown option --proxylua-sandbx",
      ["--proxylua-spend"] = "AMOUNT", ["--proxylua-execute=x()"] = "its own script" } do
      local result = run{ word }
      assert.are.equal(2, result.code)
      assert.are.equal("", result.out)
      assert.matches(pattern, result.err, 1, true)
    end
  end)

  it("lists its contents", function()
    local told = core.json.decode(run({ "--proxylua-json", "--proxylua-info" }).out)
    assert.are.equal(core.version, told.proxylua)
    assert.are.equal("app/shop.lua", told.app)
    local names, info = {}, run({ "--proxylua-info" }).out
    for at, file in ipairs(told.files) do
      names[at] = file.name
      local path = file.name:gsub("^app/", ""):gsub("^modules/", ""):gsub("^deep", "vendor/deep")
        :gsub("^unused", "vendor/unused")
      if file.name ~= "bundle.json" then
        local text = read(folder .. "/app/" .. path)
        assert.are.equal(#text, file.size)
        assert.are.equal(core.digest.sha256(text), file.sha256)
        assert.matches(file.sha256 .. " +" .. #text .. "  " .. file.name:gsub("%p", "%%%0") .. "\n",
          info)
      end
    end
    assert.are.equal(
      "app/shop.lua bundle.json modules/deep/low.lua modules/greet.lua modules/parts/init.lua "
      .. "modules/parts/more.lua modules/unused.lua", table.concat(names, " "))
    assert.are.equal(core.system.embedded("share/licences.txt"), run({ "--proxylua-licences" }).out)
    assert.matches("--proxylua-spend AMOUNT", run({ "--proxylua-help" }).out, 1, true)
    assert.matches("^proxylua " .. core.version:gsub("%p", "%%%0"),
      run({ "--proxylua-version" }).out)
  end)

  it("is a valid zip, and prints the hashes that sha256sum prints", function()
    assert.are.equal(0, select(2, output("unzip -tq %s && exit 0", app)) or 0)
    local text = output("unzip -l %s", app)
    assert.matches("app/shop.lua\n", text, 1, true)
    assert.is_nil(text:find("warning") or text:find("error"))
    text =
      output("mkdir %s/out && cd %s/out && unzip -q %s && diff app/shop.lua ../app/shop.lua && "
      .. "%s --proxylua-info | sed -nE 's/^([0-9a-f]{64}) +[0-9]+  /\\1  /p' | sha256sum -c",
      folder, folder, app, app)
    assert.are.equal("app/shop.lua: OK\nbundle.json: OK\n", text:match("^.-\n.-\n"))
    assert.is_nil(text:find("FAILED"))
    assert.are.equal("755", (output("stat -c %%a %s", app):match("%d+")))
  end)

  it("is the same for the same files", function()
    local result = bundle(folder, { "--module", "vendor", "shop.lua", "-o", folder .. "/again" },
      { program = runtime })
    assert.are.equal(0, result.code, result.err)
    assert.is_true(read(app) == read(folder .. "/again"))
    os.remove(folder .. "/again")
  end)

  it("runs where nothing but the libraries is: no /proc, no home, nothing to write", function()
    if os.getenv("ASAN_OPTIONS") then return pending("the sanitizers need /proc") end
    if not os.execute("unshare -rm true 2>/dev/null") then
      return pending("mounting is not permitted here")
    end
    local root = folder .. "/root"
    shell("mkdir %s && cp %s %s/shop && for l in $(ldd %s | grep -o '/[^ ]*'); do "
      .. "mkdir -p %s${l%%/*} && cp $l %s$l; done", root, app, root, app, root, root)
    local text = output("unshare -rm sh -c 'mount --bind %s %s && mount -o remount,bind,ro %s && "
      .. "exec env -i $(command -v chroot) %s /shop a'", root, root, root, root)
    assert.are.equal("hello\tlow\t/shop\t1\ta\n", text)
    shell("rm -rf %s", root)
  end)

  it("that strip has damaged reports it", function()
    local path = changed(function(bytes) return bytes end)
    shell("strip %s", path)
    damaged("is gone: strip", path)
    damaged("is gone: strip", path, { "--proxylua-info" })
  end)

  it("may be made by a runtime that is not stripped, and notices strip all the same", function()
    local large = folder .. "/large"
    local result = bundle(folder, { "shop.lua", "--module", "vendor", "-o", large })
    assert.are.equal(0, result.code, result.err)
    assert.matches("^hello\tlow", run({}, {}, large).out)
    shell("strip %s", large)
    damaged("is gone: strip", large)
    os.remove(large)
  end)

  it("that is cut short anywhere does nothing", function()
    local bytes = read(app)
    local directory = bytes:find("PK\1\2", begin, true)
    for _, left in ipairs{ begin, begin + 1, begin + 30, directory - 1, directory, directory + 20,
      size - 22,
      size - 1 } do
      damaged(left == begin and "is gone" or "is cut short", changed(function()
        return bytes:sub(1, left)
      end))
    end
  end)

  it("that has grown does nothing", function()
    damaged("1 bytes were added", changed(function(bytes) return bytes .. "\n" end))
    damaged("bytes were added", changed(function(bytes) return bytes .. bytes:sub(begin + 1) end))
  end)

  local function flip(bytes, at)
    return bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ 1) .. bytes:sub(at + 1)
  end

  it("does not start when any byte of it was altered, and says so", function()
    local bytes, step = read(app), (size - begin) // 24
    for at = begin + 1, size, step do
      damaged("was changed after it was bundled", changed(function() return flip(bytes, at) end))
    end
    for at = size - 30, size do
      damaged("was changed after it was bundled", changed(function() return flip(bytes, at) end))
    end
    damaged("was changed after it was bundled", changed(function()
      return flip(bytes, begin + 9)
    end),
      { "--proxylua-info" })
  end)

  it("cannot make bundles, and is not part of their files", function()
    write(folder .. "/app/maker.lua",
      [[require "proxylua.core".bundle.write("out", { { name = "a", data = "" } })]])
    assert.are.equal(0, bundle(folder, { "maker.lua", "-o", "../maker" }).code)
    local result = run({}, { cwd = folder .. "/app" }, folder .. "/maker")
    assert.are.equal(1, result.code)
    assert.matches("is a bundle itself", result.err)
    assert.is_nil(core.system.kind(folder .. "/app/out"))
    assert.matches("is a binary program, not a Lua script",
      refused(folder, { "../shop", "-o", "out" }))
  end)
end)

describe("bundling", function()
  local folder

  before_each(function()
    folder = program.folder()
    make_app(folder)
  end)

  after_each(function() program.remove(folder) end)

  local function script(text, name)
    write(folder .. "/app/" .. (name or "a.lua"), text)
  end

  it("reports a module that cannot be found, and where it is required", function()
    script("require 'greet'\nrequire 'b'")
    script("\n\nrequire 'nowhere.else'", "b.lua")
    local err = refused(folder, { "a.lua", "-o", "out" })
    assert.matches("b.lua:3 requires nowhere.else, which was not found", err, 1, true)
    local result = bundle(folder, { "a.lua", "--without", "nowhere.else", "-o", "out" })
    assert.are.equal(0, result.code, result.err)
    result = program.run({}, { program = folder .. "/app/out" })
    assert.are.equal(1, result.code)
    assert.matches("no module 'nowhere.else' in the bundle", result.err, 1, true)
  end)

  it("reports modules that may be missing, and requires that it cannot resolve", function()
    script("pcall(require, 'perhaps')\nlocal n = ...\nif n then require(n) end")
    local result = bundle(folder, { "a.lua", "-o", "out" })
    assert.are.equal(0, result.code)
    assert.matches("a.lua:1 may require perhaps", result.err, 1, true)
    assert.matches("a.lua:3 requires a module whose name is not a constant", result.err, 1, true)
    assert.are.equal("", bundle(folder, { "a.lua", "-o", "out", "-q" }).err)
  end)

  it("takes along what is installed in Lua, and refuses what is in C", function()
    shell("mkdir -p %s/lua && cp %s/app/vendor/unused.lua %s/lua/far.lua && cp /bin/true "
      .. "%s/lua/native.so", folder,
      folder, folder, folder)
    local env = { LUA_PATH = folder .. "/lua/?.lua", LUA_CPATH = folder .. "/lua/?.so" }
    script("require 'far' print('near')")
    assert.are.equal(0, bundle(folder, { "a.lua", "-o", "out" }, { env = env }).code)
    assert.are.equal("near\n", program.run({}, { program = folder .. "/app/out" }).out)
    os.remove(folder .. "/app/out")
    script("require 'native'")
    assert.matches("native.so, a module in C", refused(folder, { "a.lua", "-o", "out" },
      { env = env }), 1, true)
  end)

  it("refuses what would not do what it says", function()
    shell("mkdir %s/app/empty %s/app/other", folder, folder)
    write(folder .. "/app/other/greet.lua", "return 'another'")
    shell("mkdir %s/app/part", folder)
    write(folder .. "/app/part/plugin.lua",
      "return { name = 'part', version = '1.0.0', description = 'a part' }")
    write(folder .. "/app/part/main.lua", "return {}")
    assert.are.equal(0, program.run({ "plugin", "pack", "part", "-o", "part.plx" },
      { cwd = folder .. "/app" }).code)
    for words, pattern in pairs{
      ["absent.lua -o out"] = "cannot read the script absent.lua",
        ["- -o out"] = "not standard input",
      ["parts -o out"] = "is a folder", ["shop.lua"] = "%-o",
      ["shop.lua --module absent -o out"] = "takes a folder", ["shop.lua --module empty -o out"] =
        "has no .lua files",
      ["shop.lua --module vendor -o shop.lua"] = "would overwrite",
      ["shop.lua --module vendor -o vendor/deep/low.lua"] = "would overwrite",
      ["shop.lua --module vendor --plugin ./part -o part/main.lua"] = "would overwrite",
      ["shop.lua --module vendor --plugin ./part.plx -o part.plx"] = "would overwrite",
    } do
      local arguments = {}
      for word in words:gmatch("%S+") do arguments[#arguments + 1] = word end
      assert.matches(pattern, refused(folder, arguments))
    end
    write(folder .. "/app/broken.lua", "return return")
    local result = bundle(folder, { "broken.lua", "-o", "out" })
    assert.are.equal(1, result.code)
    assert.matches("broken.lua:1:", result.err, 1, true)
    os.remove(folder .. "/app/broken.lua")
    local twice = { "shop.lua", "--module", "vendor", "--module", "other", "--module", "parts/..",
      "-o", "out" }
    assert.matches("would both be modules/greet.lua", refused(folder, twice))
    shell("ln -s .. %s/app/other/loop", folder)
    assert.matches("a link leads back into it", refused(folder, twice))
  end)

  it("never takes the API key along, nor shows it", function()
    script("local key = '" .. KEY .. "'")
    local function refuse(options)
      local err = refused(folder, { "a.lua", "-o", "out" }, options)
      assert.is_nil(err:find(KEY, 1, true))
      return err
    end
    assert.matches("app/a.lua holds your API key", refuse{ env = { PROXYLUA_API_KEY = KEY } }, 1,
      true)
    local path = write(folder .. "/key", KEY .. "\n")
    shell("chmod 600 %s", path)
    local config = write(folder .. "/config.lua", ("return { api_key_file = %q }"):format(path))
    assert.matches("app/a.lua holds your API key", refuse{ env = { PROXYLUA_CONFIG = config } }, 1,
      true)
    script("require 'b'")
    script("return '" .. KEY .. "'", "b.lua")
    assert.matches("modules/b.lua holds", refuse{ env = { PROXYLUA_CONFIG = config } }, 1, true)
    write(folder .. "/config.lua", "return { api_key_command = 'exit 3' }")
    assert.matches("exit code 3", refuse{ env = { PROXYLUA_CONFIG = config } }, 1, true)
    assert.are.equal(0, bundle(folder, { "a.lua", "-o", "out" }).code)
  end)

  it("writes the program whole or not at all", function()
    script("print 'old'")
    local out = folder .. "/app/out"
    assert.are.equal(0, bundle(folder, { "a.lua", "-o", "out" }).code)
    script("print 'new'")
    local limited = ("ulimit -f 1000; cd %s/app && %s"):format(folder, program.command(folder,
      { "bundle", "a.lua", "-o", "out" }))
    local text, code = output("%s", limited)
    assert.are.equal(4, code, text)
    assert.matches("cannot write .*/out: File too large", text)
    assert.are.equal("old\n", program.run({}, { program = out }).out)
    assert.are.equal("a.lua greet.lua out parts shop.lua vendor ",
      (output("ls %s/app", folder):gsub("\n", " ")))
    for _, path in ipairs{ "/dev/full", "parts", "absent/out" } do
      local result = bundle(folder, { "a.lua", "-o", path })
      assert.is_true(result.code == 2 or result.code == 4, result.err)
    end
    assert.are.equal(0, bundle(folder, { "a.lua", "-o", "out" }).code)
    assert.are.equal("new\n", program.run({}, { program = out }).out)
  end)
end)

describe("a bundle with a plugin", function()
  local folder

  setup(function()
    folder = program.folder()
    shell("mkdir %s/app %s/adder", folder, folder)
    write(folder .. "/adder/plugin.lua", [[return { name = "adder", version = "1.2.0", description = "adds",
      permissions = { net = { "hooks.slack.com" } }, on = { order_placed = "placed" } }]])
    write(folder .. "/adder/main.lua", [[local heard
      return { add = require "sum", placed = function(order) heard = order.quantity end,
        heard = function() return heard end }]])
    write(folder .. "/adder/sum.lua", "return function(a, b) return a + b end")
    write(folder .. "/app/a.lua", [[
      local px = require "proxylua"
      print(px.plugin("adder").add(1, 2))
      if not ... then return end
      px.orders.create{ type = "isp", quantity = 7, key = "k" }
      px.timeout(20, function() while not px.plugin("adder").heard() do px.sleep(0.01) end end)
      print(px.plugin("adder").heard())]])
  end)

  teardown(function() program.remove(folder) end)

  local function run(arguments)
    return program.run(arguments, { program = folder .. "/app/out" })
  end

  it("finds it inside, with its permissions", function()
    local result = bundle(folder, { "a.lua", "--plugin", "../adder", "-o", "out" })
    assert.are.equal(0, result.code, result.err)
    local may = "plugin adder 1.2.0 may send data to and receive data from hooks.slack.com; "
      .. "be notified, with all details, whenever an order is placed\n"
    assert.matches(may, result.err, 1, true)
    program.remove(folder .. "/adder")
    assert.are.equal("3\n", run({}).out)
    assert.matches("\n" .. may, run({ "--proxylua-info" }).out, 1, true)
    local told = core.json.decode(run({ "--proxylua-json", "--proxylua-info" }).out)
    assert.are.same({ net = { "hooks.slack.com" } }, told.plugins.adder.permissions)
  end)

  it("notifies it of events", function()
    local result = run{ "--proxylua-sandbox", "--proxylua-spend", "100", "buy" }
    assert.are.equal("3\n7\n", result.out, result.err)
  end)

  it("takes an installed one by its name, or one from a URL, with the formats that it adds",
    function()
    local home = plugins.home()
    home:install("former", {
      manifest = "formats = { hosts = { run = 'hosts', summary = 'one a line' } }",
      files = { ["main.lua"] = "return { hosts = function(proxy) return proxy.host end }" },
    })
    home:ask("plugin", "pack", "former", "-o", "former.plx")
    local server = servers.start{ ["/former.plx"] =
      servers.ok(program.read(home.path .. "/former.plx")) }
    write(home.path .. "/b.lua",
      "print(require 'proxylua'.export.text({ '10.0.0.1:80' }, { format = 'hosts' }))")
    for _, place in ipairs{ "former", server.url .. "/former.plx" } do
      local result = home:run("bundle", "b.lua", "--plugin", place, "-o", "out")
      assert.are.equal(0, result.code, result.err)
      assert.matches("plugin former 1.0.0 may write exports in the format hosts", result.err, 1,
        true)
      result = program.run({}, { program = home.path .. "/out" })
      assert.are.equal("10.0.0.1\n\n", result.out, result.err)
    end
    server:stop()
    home:remove()
  end)

  it("uses only the plugins that it was made with, not the installed ones", function()
    local home = plugins.home()
    home:install("former",
      { manifest = "formats = { hosts = { run = 'hosts', summary = 'one a line' } }" })
    write(home.path .. "/b.lua", [[
      local px = require "proxylua"
      print(px.try(px.plugin, "former"))
      print(select(2, px.try(px.export.text, { "10.0.0.1:80" }, "hosts")).kind)]])
    assert.are.equal(0, home:run("bundle", "b.lua", "-o", "out").code)
    local result = program.run({}, { program = home.path .. "/out", home = home.path })
    assert.are.equal("nil\tusage: this program was bundled without the plugin former\nusage\n",
      result.out, result.err)
    home:remove()
  end)

  it("refuses a folder that is not a plugin", function()
    os.remove(folder .. "/app/out")
    assert.matches("the plugin none is not installed",
      refused(folder, { "a.lua", "--plugin", "none", "-o", "out" }))
    assert.matches("archive is refused",
      refused(folder, { "a.lua", "--plugin", "./a.lua", "-o", "out" }))
  end)
end)

describe("the licences", function()
  local text = core.system.embedded("share/licences.txt")

  it("are help, and name every library, linked in or not", function()
    assert.are.equal(text, program.run({ "help", "licences" }).out)
    local opened = output("grep -rhow '\"lib[a-z]*\\.so\\.[0-9]*\"' src")
    local count = 0
    for name in (output("readelf -d %s", program.path) .. opened):gmatch("[%[\"]lib(%w+)%.so") do
      if name ~= "asan" and name ~= "ubsan" then
        assert.matches("lib" .. name, text, 1, true)
        count = count + 1
      end
    end
    assert.is_true(count >= 6)
    for name in read("Makefile"):gmatch("%f[%w$]lib(%w+)[%d.]*%.a") do
      local known = { lua5 = "Lua 5.4", tinfo = "tinfo", sqlite3 = "SQLite" }
      assert.matches(known[name] or name, text, 1, true)
    end
    for _, name in ipairs{ "proxylua", "lua-cjson", "argparse", "uthash" } do
      assert.matches("\n" .. name .. "\n===", text, 1, true)
    end
  end)
end)
