-- What plugins ask of their parent, against what they were granted.

local children = require "spec.support.children"
local config = require "proxylua.settings"
local core = require "proxylua.core"
local host = require "proxylua.plugin.host"
local plugins = require "spec.support.plugins"
local program = require "spec.support.program"
local px = require "proxylua"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"
local stores = require "spec.support.stores"

local started = {}

-- A plugin that runs the text it is called with.
local main = [[
local px = require "proxylua"
local function run(text, ...) return assert(load("local px = ... return function(...) " .. text .. " end"))(px)(...) end
return { run = run, try = function(text, ...) return px.try(run, text, ...) end }]]

local function start(permissions, options)
  local spec = { name = "trial", modules = { ["main.lua"] = main }, permissions = permissions }
  for name, value in pairs(options or {}) do spec[name] = value end
  started[#started + 1] = host.start(spec)
  return started[#started]
end

-- The error that the plugin itself gets.
local function refusal(plugin, text, ...)
  local result, err = plugin:call("try", text, ...)
  assert.is_nil(result)
  assert.is_true(px.error.is(err), tostring(err))
  return err
end

local function close_all()
  for _, instance in ipairs(started) do instance:close() end
  started = {}
end

describe("files of a plugin", function()
  local folder, plugin

  before_each(function()
    folder = program.folder()
    assert(os.execute(([[cd %s && mkdir -p granted/deep outside writable &&
      ln -s ../outside granted/link && ln -s /etc/passwd granted/passwd &&
      ln -s ../outside/secret writable/link && mkfifo granted/pipe]]):format(folder)))
    program.write(folder .. "/granted/deep/list.txt", "1\n2\n")
    program.write(folder .. "/outside/secret", "hidden")
    plugin = start{ files = { read = { folder .. "/granted" }, write = { folder .. "/writable" } } }
  end)
  after_each(function()
    close_all()
    program.remove(folder)
  end)

  local function read(path)
    return plugin:call("run", "return px.files.read(...)", path)
  end

  local function hide(name, text)
    local path = program.write(folder .. "/" .. name, text)
    local own_files = config.own_files
    finally(function() config.own_files = own_files end)
    function config.own_files() return { path } end
    return path
  end

  it("refuses another name of one of proxylua's own files", function()
    hide("outside/key", "sk_live_0123456789")
    assert(os.execute(("ln %s/outside/key %s/granted/other"):format(folder, folder)))
    local err = refusal(plugin, "return px.files.read(...)", folder .. "/granted/other")
    assert.are.equal("forbidden", err.kind)
  end)

  it("refuses another name of a file in one of proxylua's own folders", function()
    local home = program.folder()
    local path = home .. "/config/proxylua/deep/key"
    core.system.make_folder(home .. "/config/proxylua/deep")
    program.write(path, "sk_live_0123456789")
    assert(os.execute(("ln %s %s/granted/other"):format(path, folder)))
    finally(function() program.remove(home) end)
    local default_folders = config.default_folders
    finally(function() config.default_folders = default_folders end)
    function config.default_folders() return { home .. "/config/proxylua" } end
    assert.are.equal("forbidden",
      refusal(plugin, "return px.files.read(...)", folder .. "/granted/other").kind)
    assert.are.equal("1\n2\n", read(folder .. "/granted/deep/list.txt"))
  end)

  it("never reads one of proxylua's own files while it is replaced", function()
    local path = hide("granted/deep/key", "sk_live_0123456789")
    local stop = folder .. "/stop"
    local loop = assert(io.popen(("cd %s/outside && while ! [ -e %s ]; do "
      .. "echo sk_live_9876543210 >new && mv new %s; done 2>&1"):format(folder, stop, path)))
    finally(function()
      program.write(stop, "")
      loop:close() -- when nothing is written any more
    end)
    local results = plugin:call("run", [[
      local read = {}
      for _ = 1, 3000 do
        local text = px.try(px.files.read, (...))
        if text then read[#read + 1] = text end
      end
      return read]], path)
    assert.same({}, results)
  end)

  it("are read and written inside the granted folders", function()
    assert.are.equal("1\n2\n", (read(folder .. "/granted/deep/list.txt")))
    assert.are.equal("1\n2\n", (read(folder .. "/granted/deep/../deep/list.txt")))
    plugin:call("run", "px.files.write(...)", folder .. "/writable/new", "a\0b")
    plugin:call("run", "px.files.write(...)", folder .. "/writable/new", "again")
    assert.are.equal("again", program.read(folder .. "/writable/new"))
    assert.are.equal("not_found", refusal(plugin, "return px.files.read(...)",
      folder .. "/granted/none").kind)
  end)

  it("are out of reach anywhere else, by name, link or ..", function()
    for _, path in ipairs{ "/outside/secret", "/granted/../outside/secret", "/granted/link/secret",
      "/granted/passwd",
      "/granted/deep/../../outside/secret", "/granted2", "/granted/pipe", "/writable/link",
        "/granted" } do
      local err = refusal(plugin, "return px.files.read(...)", folder .. path)
      assert.are.equal("forbidden", err.kind, path .. ": " .. tostring(err))
      assert.is_nil(err.message:find("hidden", 1, true))
    end
    for _, path in ipairs{ "/granted/deep/list.txt", "/writable/../outside/secret", "/granted/new",
      "/writable/.." } do
      local err = refusal(plugin, "return px.files.write(...)", folder .. path, "changed")
      assert.are.equal("forbidden", err.kind, path .. ": " .. tostring(err))
    end
    assert.are.equal("hidden", program.read(folder .. "/outside/secret"))
    assert.are.equal("forbidden", refusal(plugin, "return px.files.read('/etc/passwd')").kind)
    assert.are.equal("forbidden",
      refusal(plugin, "return px.files.read('/proc/self/environ')").kind)
  end)

  it("hold what px.proxies reads, and px.export writes, there", function()
    program.write(folder .. "/granted/list.txt", "10.0.0.1:80:me:pw\n10.0.0.2:81\n")
    assert.are.equal(2, plugin:call("run",
      "local from, to = ... return px.export.file(px.proxies.each(from), to, "
      .. "{ format = 'clash' })", folder .. "/granted/list.txt", folder .. "/writable/clash.yaml"))
    local text = program.read(folder .. "/writable/clash.yaml")
    assert.matches("10.0.0.2", text, 1, true)
    assert.are.equal(text,
      plugin:call("run", "return px.export.text(px.proxies.each(...), { format = 'clash' })",
      folder .. "/granted/list.txt"))
    assert.are.equal("forbidden", refusal(plugin, "return px.export.file({ '10.0.0.1:80' }, ...)",
      folder .. "/x").kind)
    assert.are.equal("forbidden", refusal(plugin, "return px.proxies.each(...)()",
      folder .. "/outside/secret").kind)
    assert.matches("a plugin has no standard input",
      refusal(plugin, "return px.proxies.each('-')()").message)
    assert.matches("declare formats in plugin.lua: formats = { NAME",
      refusal(plugin, "px.export.register('x', print)").message, 1, true)
    assert.matches("px.fleet is not available in plugins", refusal(plugin,
      "return px.fleet").message, 1, true)
  end)

  it("reveal nothing about other paths, not even by an error", function()
    for _, path in ipairs{ "/granted/../outside/%s", "/granted/link/%s", "/outside/%s",
      "/granted/link/../x/%s" } do
      local there = refusal(plugin, "return px.files.read(...)", folder .. path:format("secret"))
      local not_there = refusal(plugin, "return px.files.read(...)",
        folder .. path:format("nothing"))
      assert.are.equal(there.kind, not_there.kind)
      assert.are.equal(there.message, (not_there.message:gsub("nothing", "secret")))
    end
  end)

  it("are not written through a link", function()
    assert.are.equal("forbidden", refusal(plugin, "px.files.write(...)", folder .. "/writable/link",
      "mine").kind)
    assert.are.equal("hidden", program.read(folder .. "/outside/secret"))
  end)

  it("keep their permissions when they are replaced, and are private when they are new",
    function()
    local new, old = folder .. "/writable/new", folder .. "/writable/old"
    program.write(old, "1")
    assert(os.execute("chmod 640 " .. old))
    for _, path in ipairs{ new, old } do plugin:call("run", "px.files.write(...)", path, "2") end
    assert.are.equal("2", program.read(old))
    local pipe = io.popen(("stat -c %%a %s %s"):format(new, old))
    assert.are.equal("600\n640\n", pipe:read("a"))
    pipe:close()
  end)

  -- Has a greedy plugin read and write files of its home while the settings name some of them, and
  -- returns the results.
  local function greed(home, names)
    home:install("greedy", {
      manifest = ([[permissions = { files = { read = { %q }, write = { %q } } },
        commands = { try = { run = "try", summary = "tries" } }]]):format(home.path, home.path),
      files = { ["main.lua"] = [[
        local px = require "proxylua"
        return { try = function()
          for name in ("]] .. names .. [["):gmatch("%S+") do
            for _, what in ipairs{ "read", "write" } do
              local _, err = px.try(px.files[what], "]] .. home.path .. [[/" .. name,
                what == "write" and "changed" or nil)
              print(name, what, err and err.kind or "done")
            end
          end
        end }]] },
    })
    program.write(home.path .. "/settings.lua",
      ("return { api_key_file = '~/key', store = %q }"):format(
      home.path .. "/store.db"))
    assert(os.execute(("cd %s && chmod 600 settings.lua && mkdir -p config/proxylua && " ..
      "ln -s ../../settings.lua config/proxylua/config.lua"):format(home.path)))
    return home:run("--store", home.path .. "/given.db", "greedy", "try").out
  end

  it("are not the default config, its key or a trace while PROXYLUA_CONFIG names another file",
    function()
      local home = plugins.home()
      local names = { "config/proxylua/config.lua", "config/proxylua/key", "elsewhere", "trace" }
      home:install("greedy", {
        manifest = ([[permissions = { files = { read = { %q }, write = { %q } } },
          commands = { try = { run = "try", summary = "tries" } }]]):format(home.path, home.path),
        files = { ["main.lua"] = ([[
          local px = require "proxylua"
          return { try = function()
            for name in (%q):gmatch("%%S+") do
              for _, what in ipairs{ "read", "write" } do
                local _, err = px.try(px.files[what], %q .. name, what == "write" and "x" or nil)
                print(name, what, err and err.kind or "done")
              end
            end
          end }]]):format(table.concat(names, " "), home.path .. "/") },
      })
      assert(os.execute(("cd %s && mkdir -p config/proxylua"):format(home.path)))
      for _, name in ipairs(names) do program.write(home.path .. "/" .. name, "1") end
      program.write(home.path .. "/config/proxylua/config.lua",
        "return { api_key_file = '~/elsewhere' }")
      program.write(home.path .. "/other.lua", "return {}")
      local expected = {}
      for _, name in ipairs(names) do
        for _, what in ipairs{ "read", "write" } do
          expected[#expected + 1] = ("%s\t%s\tforbidden\n"):format(name, what)
        end
      end
      local result = program.run({ "--trace", home.path .. "/trace", "greedy", "try" },
        { home = home.path, env = { PROXYLUA_CONFIG = home.path .. "/other.lua" } })
      assert.are.equal(table.concat(expected), result.out, result.err)
    end)

  it("are not the settings, the key or the store, in any place", function()
    local home = plugins.home()
    for _, name in ipairs{ "key", "store.db", "store.db-wal", "given.db", "mine" } do
      program.write(home.path .. "/" .. name, "1")
    end
    assert(os.execute("chmod 600 " .. home.path .. "/key"))
    local told, expected = greed(home, "settings.lua key store.db store.db-wal given.db mine"), {}
    for _, name in ipairs{ "settings.lua", "key", "store.db", "store.db-wal", "given.db",
      "mine" } do
      for _, what in ipairs{ "read", "write" } do
        expected[#expected + 1] = ("%s\t%s\t%s\n"):format(name, what, name == "mine" and "done"
          or "forbidden")
      end
    end
    assert.are.equal(table.concat(expected), told)
    assert.are.equal("changed", program.read(home.path .. "/mine"))
    home:remove()
  end)

  it("are not what the program has yet to make: a key, a store, a store's journal or lock",
    function()
    local home = plugins.home()
    local own =
      "key store.db store.db-wal store.db-shm store.db-journal store.db-lock given.db given.db-lock"
    local told = greed(home, own .. " mine")
    for name in own:gmatch("%S+") do
      assert.is_truthy(told:find(name .. "\twrite\tforbidden\n", 1, true), told)
      assert.is_nil(core.system.kind(home.path .. "/" .. name))
    end
    assert.is_truthy(told:find("mine\twrite\tdone\n", 1, true), told)
    home:remove()
  end)

  it("are not those of a process under /proc, even if /proc was granted", function()
    local nosy = start{ files = { read = { "/proc/self", "/proc" } } }
    for _, path in ipairs{ "/proc/self/environ", "/proc/self/maps", "/proc/self/mem",
      "/proc/uptime" } do
      assert.are.equal("forbidden", refusal(nosy, "return px.files.read(...)", path).kind, path)
    end
  end)

  it("are never proxylua's own, such as the list of plugins, under any permission", function()
    local own = config.state_folder()
    local base, path = own:match("^(.*)/"), own .. "/plugin_broker_spec"
    assert(os.execute("mkdir -p " .. program.quote(own)))
    program.write(path, "locked")
    local greedy = start{ files = { read = { base }, write = { base } } }
    assert.are.equal("forbidden", refusal(greedy, "return px.files.read(...)", path).kind)
    assert.are.equal("forbidden", refusal(greedy, "return px.files.write(...)", path, "mine").kind)
    assert.are.equal("locked", program.read(path))
    os.remove(path)
  end)

  it("can be granted one by one", function()
    local one = start{ files = { read = { folder .. "/granted/deep/list.txt" } } }
    assert.are.equal("1\n2\n",
      (one:call("run", "return px.files.read(...)", folder .. "/granted/deep/list.txt")))
    assert.are.equal("forbidden", refusal(one, "return px.files.read(...)",
      folder .. "/granted/deep/other").kind)
  end)
end)

describe("hosts of a plugin", function()
  local server, other

  setup(function()
    other = servers.start{ ["/secret"] = servers.ok("secret") }
    server = servers.start{
      ["/"] = servers.ok('{"n":3}', "Content-Type: application/json\r\n"),
      ["/near"] = "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
      ["/away"] = "HTTP/1.1 302 Found\r\nLocation: " .. other.url
        .. "/secret\r\nContent-Length: 0\r\n\r\n",
      ["/file"] = "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
      ["/circle"] = "HTTP/1.1 302 Found\r\nLocation: /circle\r\nContent-Length: 0\r\n\r\n",
      ["/post"] = servers.ok("posted"),
    }
  end)
  teardown(function()
    server:stop()
    other:stop()
  end)
  after_each(close_all)

  local function local_plugin()
    return start({ net = { "127.0.0.1:" .. server.port } }, { reach = "loopback" })
  end

  it("respond if they were granted", function()
    local plugin = local_plugin()
    assert.are.equal(3, (plugin:call("run", "return px.http.get(...):json().n", server.url .. "/")))
    assert.are.equal(3, (plugin:call("run", "return px.http.get(...):json().n",
      server.url .. "/near")))
    assert.are.equal("forbidden",
      refusal(plugin, "px.notify{ url = 'https://example.com/', text = 'x' }").kind)
    assert.are.equal("usage", refusal(plugin, "px.notify{ text = 'x' }").kind)
    plugin:call("run", "px.notify(...)", { url = server.url .. "/", text = "all is well" })
    local once = "return px.http.get(..., { redirects = 0 }).status"
    assert.are.equal(302, (plugin:call("run", once, server.url .. "/near")))
    assert.are.equal(302,
      (plugin:call("run", "return px.http.get(...).status", server.url .. "/circle")))
    local post = "return px.http.post(..., { json = { a = 1 } }).body"
    assert.are.equal("posted", (plugin:call("run", post, server.url .. "/post")))
    assert.matches('{"a":1}$', server:requests()[#server:requests()])
  end)

  it("are not reached by another name, port, scheme or redirect", function()
    local plugin = local_plugin()
    local here, there = "127.0.0.1:" .. server.port, "127.0.0.1:" .. other.port
    for _, url in ipairs{ "http://" .. there .. "/secret", "http://localhost:" .. server.port,
      "http://user:pw@" .. here, "http://127.0.0.1/", "file:///etc/passwd", "ftp://" .. here,
      server.url .. "/away", server.url .. "/file",
      "http://0x7f000001:" .. other.port .. "/secret", "http://" .. here .. "@" .. there } do
      local err = refusal(plugin, "return px.http.get(...)", url)
      assert.is_true(err.kind == "forbidden" or err.kind == "usage", url .. ": " .. tostring(err))
    end
    assert.are.equal(0, #other:requests())
  end)

  it("are not reached by a header that names another, or by a body that goes on as a second "
    .. "request", function()
    local plugin = local_plugin()
    for _, name in ipairs{ "Host", "HOST ", "host\t", " Host", "Content-Length",
      "transfer-encoding" } do
      local err = refusal(plugin,
        "px.http.post(..., { headers = { [select(2, ...)] = '0' }, body = 'GET /' })",
        server.url .. "/post", name)
      assert.are.equal("usage", err.kind, name)
    end
  end)

  it("are not looked up before the check, so that no name leaks a secret", function()
    local plugin = start{ net = { "example.com" } }
    local err = refusal(plugin, "return px.http.get('http://my-secret.evil.invalid/')")
    assert.are.equal("forbidden", err.kind) -- and not what the name server said
  end)

  it("may not be on this machine or in a private network, under any name", function()
    for _, name in ipairs{ "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1",
      "192.168.1.1",
      "169.254.169.254", "[fe80::1]", "[fd00::1]", "0.0.0.0", "100.64.0.1", "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]" } do
      local plugin = start{ net = { ("%s:%d"):format(name, server.port) } }
      local err = refusal(plugin, "return px.http.get(...)", ("http://%s:%d/"):format(name,
        server.port))
      assert.are.equal("forbidden", err.kind, name .. ": " .. tostring(err))
      assert.matches("public internet", err.message)
      plugin:close()
    end
  end)

  it("are not reached through a proxy of the environment", function()
    local before = #server:requests()
    local result = program.run({ "-e", ([[
      local host = require "proxylua.plugin.host"
      local main = "return { run = function() return require('proxylua').http.get('http://10.255.255.1/') end }"
      local plugin = host.start{ name = "trial", modules = { ["main.lua"] = main }, permissions = { net = { "10.255.255.1" } },
        reach = "loopback" }
      print(select(2, pcall(plugin.call, plugin, "run")).kind)]]) }, { env = { http_proxy =
        server.url } })
    assert.are.equal("forbidden\n", result.out, result.err)
    assert.are.equal(before, #server:requests())
  end)

  it("take no connection of the parent's, and no options that reach further", function()
    px.http.get(server.url .. "/", { proxy = "" }) -- leaves an open connection behind
    local plugin = start{ net = { "127.0.0.1:" .. server.port } }
    assert.are.equal("forbidden", refusal(plugin, "return px.http.get(...)",
      server.url .. "/").kind)
    for _, option in ipairs{ "path = '/tmp/x'", "proxy = 'http://127.0.0.1:1'",
      "headers = { HOST = 'other' }" } do
      local err = refusal(plugin, ("return px.http.get(..., { %s })"):format(option),
        server.url .. "/")
      assert.are.equal("usage", err.kind, option)
    end
  end)
end)

describe("the environment of a plugin", function()
  after_each(close_all)

  it("is what was granted by name", function()
    local plugin = start{ env = { "HOME", "PROXYLUA_STORE" } }
    assert.are.equal(os.getenv("HOME"), (plugin:call("run", "return px.env('HOME')")))
    for _, name in ipairs{ "PATH", "PROXYLUA_STORE", "PROXYLUA_API_KEY" } do
      assert.are.equal("forbidden", refusal(plugin, "return px.env(...)", name).kind)
    end
  end)
end)

describe("the programs of a plugin", function()
  after_each(close_all)

  local function run(plugin, ...)
    return plugin:call("run", "return px.exec(...)", ...)
  end

  it("are those that were granted, with words that no shell reads", function()
    local plugin = start{ exec = { "/bin/echo", "/bin/sh", "/usr/bin/env" } }
    local words = { "$(id)", ";", "`id`", "*" }
    assert.are.same({ code = 0, output = "$(id) ; `id` *\n" }, (run(plugin, "/bin/echo", words)))
    assert.are.same({ code = 3, output = "x" },
      (run(plugin, "/bin/sh", { "-c", "printf x; exit 3" })))
    assert.are.equal(137, run(plugin, "/bin/sh", { "-c", "kill -KILL $$" }).code)
    assert.is_nil(run(plugin, "/usr/bin/env").output:find("XDG_", 1, true))
    for _, path in ipairs{ "/bin/cat", "echo", "/bin/../bin/echo", "/bin/echo\0", "" } do
      assert.are.equal("forbidden", refusal(plugin, "return px.exec(...)", path).kind)
    end
    assert.are.equal("usage", refusal(plugin, "return px.exec(...)", "/bin/echo", { "a\0b" }).kind)
  end)

  it("are bounded in time and output, and leave nothing behind", function()
    local plugin = start{ exec = { "/bin/sh", "/usr/bin/yes" } }
    assert.are.equal("protocol", refusal(plugin, "return px.exec(...)", "/usr/bin/yes").kind)
    assert.are.equal("timeout",
      refusal(plugin, "return px.exec(..., { '-c', 'sleep 600' }, { timeout = 0.1 })",
      "/bin/sh").kind)
    local path = program.folder() .. "/pid"
    local task = px.spawn(run, plugin, "/bin/sh",
      { "-c", ("sleep 600 & echo $! >%s; wait"):format(path) })
    local pid
    repeat
      px.sleep(0.01)
      local file = io.open(path)
      pid = file and file:read("n", "L") and tonumber(program.read(path))
      if file then file:close() end
    until pid
    task:cancel()
    pcall(task.join, task)
    local stat
    repeat
      px.sleep(0.01)
      stat = io.open(("/proc/%d/stat"):format(pid))
    until not stat or stat:read("a"):find("%) Z ")
    program.remove((path:gsub("/pid$", "")))
  end)
end)

describe("the API for a plugin", function()
  local sandbox

  -- Runs a script that has `start(permissions)` as here.
  local function eval(code, options)
    local head = ([[local host = require "proxylua.plugin.host"
      local function start(permissions, name)
        return host.start{ name = name or "trial", modules = { ["main.lua"] = %q }, permissions = permissions }
      end ]]):format(main):gsub("\\\n", "\\n")
    return sandbox:eval(head:gsub("\n", " ") .. code, options)
  end

  setup(function() sandbox = sandboxes.start{ balance = 1000 } end)
  teardown(function() sandbox:stop() end)

  it("reads with the permission to read, and changes nothing", function()
    local balance, orders, raw, refused, download = eval[[
      local plugin = start{ read = true }
      local balance = plugin:call("run", "return px.account.get().balance")
      plugin:call("run", "local n = 0 for o in px.orders.each() do n = n + 1 end return n")
      local refused = {}
      for _, text in ipairs{ "px.orders.create{ type = 'isp', quantity = 1 }", "px.deposits.create_address{ currency = 'BTC' }",
        "px.orders.extend('ord_1', { period = 30 })", "px.request{ method = 'POST', path = '/orders', max_price = 1 }",
        "px.orders.download('ord_1', { path = '/tmp/x' })" } do
        refused[#refused + 1] = select(2, plugin:call("try", text)).kind
      end
      return px.money.is(balance), plugin:call("run", "return #px.orders.list()"),
        plugin:call("run", "return px.request{ path = '/account' }.email ~= nil"), table.concat(refused, " "),
        px.account.get().balance == balance]]
    assert.is_true(balance)
    assert.are.equal(0, orders)
    assert.is_true(raw)
    assert.are.equal("forbidden forbidden forbidden usage usage", refused)
    local told = eval[[return tostring(select(2, start():call("try", "return px.account.get()")))]]
    assert.are.equal(
      "forbidden: the plugin trial may not call account.get: it has no such permission (read) "
      .. "(plugin_permission)", told)
    assert.is_true(download)
  end)

  it("spends up to the plugin's own ceiling, in one run and on one day", function()
    local code = [[
      local plugin = start({ spend = { per_run = "10", per_day = "12" } }, "%s")
      local function buy(quantity, key)
        local order, err = plugin:call("try", "return px.orders.create(...)",
          { type = "isp", quantity = quantity, country = "US", period = 30, key = key, max_price = 1000 })
        return order and tostring(order.price) or err.kind
      end
      return %s]]
    local price = tonumber((eval[[
      return tostring(px.orders.calc{ type = "isp", quantity = 1, country = "US", period = 30
        }.price)]]))
    local most = 10 // price
    local results = { eval(code:format("one",
      ("buy(%d, 'a'), buy(1, 'b'), buy(%d, 'a')"):format(most, most))) }
    assert.are.equal(most * price, tonumber(results[1]))
    assert.are.equal("spend_refused", results[2])
    assert.are.equal(results[1], results[3]) -- the same key returns the same order
    local left = 12 - most * price
    local later = { eval(code:format("one", ("buy(%d, 'c'), buy(%d, 'd')"):format(left // price + 1,
      left // price))) }
    assert.are.equal("spend_refused", later[1])
    assert.are.equal(tostring(left // price * price), tostring(tonumber(later[2])))
    local another = eval(code:format("two", ("buy(%d, 'a')"):format(most)))
    assert.are.equal(results[1], another)
    local at_once = eval[[
      local plugin = start({ spend = { per_run = "10", per_day = "100" } }, "three")
      local spent = px.money(0)
      plugin:call("try", "return px.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function() return px.try(px.orders.create, "
        .. "{ type = 'isp', quantity = 1, country = 'US', period = 30 }) end)")
      for entry in px.journal.each() do
        if entry.key:find("^plugin:three:") and entry.state == "placed" then spent = spent + entry.price end
      end
      return spent > 0 and spent <= 10]]
    assert.is_true(at_once)
    assert.are.equal("spend_refused", (eval[[
      local _, err = start({ spend = { per_run = "900", per_day = "900" } }, "four"):call("try", "return px.orders.create(...)",
        { type = "isp", quantity = 400, country = "US", period = 30 })
      return err.kind]]), "above what the user allows")
  end)

  -- Each process stands for a machine of its own: they have nothing in common but the store.
  for _, place in ipairs(stores.all) do
    it("spends up to the day's ceiling among processes that share " .. place.name, function()
      local script = ([[
        local host = require "proxylua.plugin.host"
        local plugin = host.start{ name = "five", modules = { ["main.lua"] = %q },
          permissions = { spend = { per_run = 10, per_day = 10 } } }
        for _ = 1, 4 do
          plugin:call("try", "return px.orders.create{ type = 'isp', quantity = 1, country = 'US', period = 30 }")
        end
        print(select(2, plugin:call("try", "return px.orders.create{ type = 'isp', quantity = 50, country = 'US', period = 30 }")))
        ]]):format(main)
      place.start()
      local _ <close> = setmetatable({}, { __close = place.stop })
      local env = {
        PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key, PROXYLUA_LIMITS = "off",
        PROXYLUA_SPEND = "1000", PROXYLUA_STORE = place.fresh(),
      }
      local said = children.start(3, sandbox.home, { "-e", script }, env):join()
      for _, one in ipairs(said) do
        assert.matches("^spend_refused: .*the budget per_%l+ of plugin:five: is 10.00, of which "
          .. "[%d.]+ is spent",
          one.out)
      end
      local spent, price = table.unpack(core.json.decode(program.run({ "-e", [[
        local px = require "proxylua"
        local spent = px.money(0)
        for entry in px.journal.each{ state = "placed" } do
          if entry.key:find("^plugin:five:") then spent = spent + entry.price end
        end
        local quote = px.orders.calc{ type = "isp", quantity = 1, country = "US", period = 30 }
        print(px.json.encode{ tostring(spent), tostring(quote.price) })]] }, { env = env }).out))
      assert.is_true(tonumber(spent) <= 10, spent)
      assert.is_true(tonumber(spent) > 10 - tonumber(price), spent)
    end)
  end

  it("settles a charge whose plugin dies in the middle", function()
    sandbox:change("settings", { faults = { "orders.create:delay=1.5" } })
    local state, kind, alive = eval(([[
      local plugin = start({ spend = { per_run = 50, per_day = 50 } }, "dying")
      local function asked()
        return px.http.get(%q, { headers = { ["X-Sandbox-Key"] = %q } }):json().requests["orders.create"]
      end
      local before = asked()
      local task = px.spawn(plugin.call, plugin, "run", "return px.orders.create(...)",
        { type = "isp", quantity = 1, country = "US", period = 30, key = "last" })
      while asked() == before do px.sleep(0.01) end
      os.execute("kill -KILL " .. plugin.process:pid())
      local err = select(2, pcall(task.join, task))
      local entry
      repeat
        px.sleep(0.02)
        entry = px.journal.get("plugin:dying:last")
      until not entry.open
      return entry.state, err.code, px.account.get().balance > 0
    ]]):format(sandbox.admin_url .. "/counters", sandbox.key))
    assert.are.equal("placed", state)
    assert.are.equal("plugin_ended", kind)
    assert.is_true(alive)
  end)
end)
