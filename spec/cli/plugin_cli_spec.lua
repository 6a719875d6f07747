-- `proxylua plugin`, and what installed plugins add to the command line.

local core = require "proxylua.core"
local host = require "proxylua.plugin.host"
local plugins = require "spec.support.plugins"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"
local sources = require "proxylua.plugin.package.source"
local terminals = require "spec.support.terminal"

local restocker = core.system.real_path("scripts/plugins/restocker")

describe("proxylua plugin", function()
  local home

  before_each(function() home = plugins.home() end)
  after_each(function() home:remove() end)

  it("makes one that passes its own spec, is packed, installed, and runs", function()
    assert.equals(0, home:run("plugin", "new", "counter").code)
    local tested = home:run("plugin", "test", "counter")
    assert.equals(0, tested.code, tested.err)
    assert.matches("2 passed, 0 failed", tested.err, 1, true)
    local packed = home:ask("plugin", "pack", "counter")
    assert.equals("counter-0.1.0.plx", packed.file)
    assert.equals(0, home:run("plugin", "install", "counter-0.1.0.plx", "--yes").code)
    assert.same({}, home:ask("--sandbox", "counter", "count"))
    assert.equals("", home:run("--sandbox", "counter", "count").out)
    assert.matches("exists already", home:run("plugin", "new", "counter").err)
    assert.matches("the name of a plugin must be", home:run("plugin", "new",
      "../x").err, 1,
      true)
    assert.matches("orders is already a command of proxylua", home:run("plugin", "new",
      "orders").err)
  end)

  it("links a folder, whose present files each run reads", function()
    local manifest = 'commands = { go = { run = "go", summary = "goes on" } }'
    local function main(number)
      return { ["main.lua"] = ("return { go = function() return %d end }"):format(number) }
    end
    local folder = home:write("trial", { manifest = manifest, files = main(1) })
    local linked = home:run("plugin", "link", "trial", "--yes")
    assert.equals(0, linked.code, linked.err)
    assert.equals(1, home:ask("--sandbox", "trial", "go"))
    assert.equals(core.system.real_path(folder), home:ask("plugin", "list")[1].link)
    home:write("trial", { manifest = manifest, files = main(2) })
    assert.equals(2, home:ask("--sandbox", "trial", "go"))
    assert(os.execute("chmod go+w " .. folder))
    local result = home:run("--sandbox", "trial", "go")
    assert.equals(2, result.code)
    assert.matches("cannot use the linked plugin", result.err, 1, true)
    assert(os.execute("chmod go-w " .. folder))
    home:write("trial", { manifest = manifest .. ', permissions = { env = { "HOME" } }' })
    result = home:run("--sandbox", "trial", "go")
    assert.equals(2, result.code)
    assert.matches("; run proxylua plugin link /", result.err, 1, true)
    assert.equals(0, home:run("plugin", "remove", "trial").code)
    assert.equals("file", core.system.kind(folder .. "/main.lua")) -- its folder stays
  end)

  it("packs the same bytes each time, for any dates and modes of the files", function()
    home:write("trial", { files = { ["lib/b.lua"] = "return 2", ["a.lua"] = "return 1" } })
    local first = home:ask("plugin", "pack", "trial", "-o", "1.plx")
    local spoil = "cd %s/trial && touch -d 2001-01-01 * && chmod 755 main.lua && mkdir spec .git "
      .. "&& touch .x trial.plx"
    assert(os.execute(spoil:format(home.path)))
    assert.equals(first.sha256, home:ask("plugin", "pack", "trial", "-o", "2.plx").sha256)
    assert.equals(program.read(home.path .. "/1.plx"), program.read(home.path .. "/2.plx"))
  end)

  it("packs over none of the plugin's own files", function()
    local folder = home:write("trial")
    local result = home:run("plugin", "pack", folder, "-o", "trial/main.lua")
    assert.equals(2, result.code)
    assert.matches("would overwrite an input file", result.err, 1, true)
    assert.equals("return {}", program.read(folder .. "/main.lua"))
  end)

  it("reports a spec that fails, and a mistake in the plugin", function()
    local spec = [[
      it("adds", function() assert(plugin.add(1, 2) == 3) end)
      it("cannot", function() plugin.add({}, 1) end)
      it("may not", function() plugin.buy() end)]]
    local main = [[
      local px = require "proxylua"
      return { add = function(a, b) return a + b end, buy = function() px.orders.create{ type = "isp",
        quantity = 1 } end }]]
    home:write("trial", { files = { ["main.lua"] = main, ["spec/main_spec.lua"] = spec } })
    local result = home:run("--json", "plugin", "test", "trial")
    assert.equals(1, result.code)
    local states = {}
    for at, row in ipairs(core.json.decode(result.out)) do
      states[at] = row.example .. " " .. row.state
    end
    assert.same({ "adds passed", "cannot failed", "may not failed" }, states)
    assert.matches("cannot: .*arithmetic on a table", result.err)
    assert.matches("may not: forbidden", result.err)
    home:write("empty")
    assert.matches("nothing to test", home:run("plugin", "test", "empty").err)
  end)

  it("shows what a plugin may do and asks, at a terminal", function()
    home:write("trial", { manifest = 'permissions = { net = { "example.com" } }' })
    for _, case in ipairs{ { "n", "exit 130", false }, { "y", "exit 0", "file" } } do
      local terminal = terminals.open({ "plugin", "install", home.path .. "/trial" },
        { home = home.path })
      terminal:await("Install it? [y/N]")
      assert.matches("It may\n  - send data to and receive data from example.com.",
        terminal:screen(), 1, true)
      terminal:type(case[1])
      terminal:press("Enter")
      terminal:await(case[2])
      terminal:close()
      assert.equals(case[3], core.system.kind(home:installed("lock.json")) or false)
    end
  end)

  it("does not ask without a terminal", function()
    local result = home:run("plugin", "install", home:write("trial"))
    assert.equals(2, result.code)
    assert.matches("It can only compute, and may do nothing else.\n", result.err, 1, true)
    assert.is_nil(core.system.kind(home:installed()))
  end)

  it("lists the plugins, and shows the contents of one", function()
    home:install("trial", { manifest = [[permissions = { read = true }, on = { order_placed = "f" },
      commands = { go = { run = "go", summary = "goes on" } }]] })
    assert.same({ { name = "trial", version = "1.0.0", commands = "go", events = "order_placed",
      description = "a trial" } },
      home:ask("plugin", "list"))
    for _, place in ipairs{ "trial", home.path .. "/trial" } do
      local out = home:run("plugin", "info", place).out
      for _, expected in ipairs{ "trial 1.0.0: a trial", "  - read your account",
        "proxylua trial go: goes on",
        "order_placed" } do
        assert.matches(expected, out, 1, true)
      end
    end
    local told = home:ask("plugin", "info", "trial")
    assert.equals(true, told.permissions.read)
    assert.same({ "read your account, orders, proxies with their passwords, and transactions",
      "be notified, with all details, whenever an order is placed" }, told.may)
  end)

  it("gives what is installed a place in help and completion", function()
    home:install("trial",
      { manifest = [[commands = { go = { run = "go", summary = "goes on", options = {
      ["of-type"] = { type = "text", summary = "which", choices = { "isp", "mobile" } } } } }]] })
    home:install("silent")
    assert.matches("trial%s+a trial %(plugin%)", home:run("help").out)
    assert.is_nil(home:run("help").out:find("silent"))
    assert.matches("%-%-of%-type TYPE%s+which", home:run("help", "trial", "go").out)
    local function complete(...) return home:run("completion", "words", "--", ...).out end
    assert.matches("trial\ta trial", complete("tri"), 1, true)
    assert.matches("go\tgoes on", complete("trial", ""), 1, true)
    assert.matches("--of-type\twhich", complete("trial", "go", "--of"), 1, true)
    assert.equals("words\nisp\n", complete("trial", "go", "--of-type", "i"))
    assert.equals("words\nsilent\n", complete("plugin", "remove", "si"))
    assert.matches("did you mean trial?", home:run("trail").err, 1, true)
  end)

  it("runs its commands, with options of their types", function()
    home:install("trial", {
      manifest = [[commands = { go = { run = "lib.go", summary = "goes on", options = {
        ["of-type"] = { type = "text", summary = "which", default = "isp" }, fast = { summary = "hurry" },
        most = { type = "integer", summary = "how many", required = true }, rate = { type = "number",
          summary = "rate" } } } }]],
      files = { ["lib.lua"] =
        "return { go = function(options) print('going'); return options end }" },
    })
    local result = home:run("trial", "go", "--most", "-3", "--rate", "0.5", "--fast", "--json")
    assert.same({ 0, "" }, { result.code, result.err })
    assert.equals('going\n{"fast":true,"most":-3,"of_type":"isp","rate":0.5}\n', result.out)
    for _, words in ipairs{ { "go" }, { "go", "--most", "1.5" }, { "go", "--most", "1", "--of-tpye",
      "x" }, { "og" },
      {} } do
      assert.equals(2, home:run("trial", table.unpack(words)).code)
    end
  end)

  it("reports events, and an error in a handler changes nothing", function()
    home:install("teller", {
      manifest =
        [[on = { order_placed = "placed", order_extended = "extended", charge_refused = "refused"
          }]],
      files = { ["main.lua"] = [[
        local px = require "proxylua"
        return {
          placed = function(order) px.log.info("placed " .. order.quantity .. " for " .. tostring(order.price)) end,
          extended = function(order) print("extended " .. order.id) end, -- among nobody's data
          refused = function(what) px.log.info("refused " .. what.endpoint .. " " .. what.kind) end,
        }]] },
    })
    home:install("broken", { manifest = 'on = { order_placed = "placed" }',
      files = { ["main.lua"] = [[
      return { placed = function() error("no good") end }]] } })
    local result = home:run("--sandbox", "--spend", "30", "-e", [[
      local px = require "proxylua"
      local order = px.orders.create{ type = "isp", quantity = 2, period = 30 }
      px.orders.extend(order.id, { period = 30 })
      px.try(px.orders.create, { type = "isp", quantity = 900 })
      px.try(px.orders.create, { type = "isp", quantity = -1 })
      print(order.quantity)]])
    assert.same({ 0, "2\n" }, { result.code, result.out })
    for _, expected in ipairs{
      "teller: placed 2 for 4.80\n", "teller: extended ord_",
        "teller: refused orders.create spend_refused\n",
      "the plugin broken could not be notified of order_placed: ", "broken/main.lua:1: no good",
    } do
      assert.matches(expected, result.err, 1, true)
    end
    assert.equals(1, select(2, result.err:gsub("refused orders", "")))
    local dry = home:run("--sandbox", "--dry-run", "orders", "create", "--type", "isp",
      "--quantity", "1")
    assert.equals("proxylua: dry run: nothing was bought\n", dry.err)
  end)

  it("reports a charge that was placed after its caller stopped waiting", function()
    home:install("teller", { manifest = 'on = { order_placed = "placed" }',
      files = { ["main.lua"] = [[
        local px = require "proxylua"
        return { placed = function(order) px.log.info("placed " .. order.id .. " for "
          .. tostring(order.price) .. " of " .. order.type) end }]] } })
    local sandbox = sandboxes.start{ limits = "off" }
    sandbox:change("settings", { faults = core.json.array{ "orders.create:delay=0.5" } })
    home.env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000" }
    local buy = "{ type = 'isp', quantity = 1, period = 30 }"
    local while_running = home:run("-e", ([[local px = require "proxylua"
      px.try(px.timeout, 0.4, px.orders.create, %s)
      px.sleep(1)]]):format(buy))
    local at_the_end = home:run("-e",
      ("local px = require 'proxylua' px.timeout(0.4, px.orders.create, %s)"):format(buy))
    local interrupted = home:run("-e", ([[local px = require "proxylua"
      px.spawn(function() px.sleep(0.4) io.popen("kill -INT $PPID"):close() end)
      px.orders.create(%s)]]):format(buy))
    local orders = sandbox:look("counters").sold
    sandbox:stop()
    assert.equal(3, orders)
    assert.same({ 0, 5, 130 }, { while_running.code, at_the_end.code, interrupted.code })
    for _, result in ipairs{ while_running, at_the_end, interrupted } do
      assert.matches("teller: placed ord_%w+ for 2.40 of isp\n", result.err)
    end
  end)

  it("that goes on after an event holds up no end", function()
    home:install("lasting", { manifest = 'on = { order_placed = "placed" }',
      files = { ["main.lua"] = [[
      local px = require "proxylua"
      return { placed = function()
        px.spawn(px.sleep, 1e6)
        px.spawn(function() px.sleep(0) px.sleep(1e6) end)
        px.sleep(0)
        px.log.info("told")
      end }]] } })
    local code = "require('proxylua.plugin.host.running').get('lasting'):event('order_placed', {})"
    local line = program.command(home.path, { "-e", code })
    assert(os.execute(("timeout 20 %s 2>%s/told"):format(line, home.path)))
    assert.equals("proxylua: lasting: told\n", program.read(home.path .. "/told"))
  end)

  it("stops nothing when it is cancelled while it handles an event", function()
    home:install("broken", { manifest = 'on = { order_placed = "placed" }',
      files = { ["main.lua"] = [[
      local px = require "proxylua"
      return { placed = function() local task = px.spawn(px.sleep, 60) task:cancel() task:join()
        end }]] } })
    local result = home:run("--sandbox", "--spend", "30", "-e", [[
      require("proxylua").orders.create{ type = "isp", quantity = 2, period = 30 }
      print("done")]])
    assert.same({ 0, "done\n" }, { result.code, result.out })
    assert.matches("notified of order_placed: plugin broken: a task of its own was cancelled",
      result.err, 1, true)
  end)

  it("logs lines under its name, up to a limit", function()
    home:install("trial", { manifest = [[commands = { go = { run = "go", summary = "goes on" },
      lines = { run = "lines", summary = "goes on in one go" } }]], files = {
      ["main.lua"] = [[
        local px = require "proxylua"
        return { go = function()
          px.log.info("first\nproxylua: bought everything")
          for _ = 1, 30 do px.log.info(("x"):rep(50000)) end
        end, lines = function() px.log.info(("\n"):rep(2 << 20)) end }]] } })
    local result = home:run("trial", "go")
    assert.equals(0, result.code)
    assert.matches("proxylua: trial: first\nproxylua: trial: proxylua: bought everything\n",
      result.err, 1, true)
    assert.matches("proxylua: trial: only the first 1 MiB are shown\n$", result.err)
    for _, command in ipairs{ "go", "lines" } do
      assert.is_true(#home:run("trial", command).err < (1 << 20) + 100)
    end
  end)

  it("returns any value that the output can show", function()
    home:install("trial", { manifest = [[commands = { rows = { run = "rows", summary = "streams" },
      mixed = { run = "mixed", summary = "a record" } }]], files = { ["main.lua"] = [[
        return {
          rows = function()
            local at = 0
            return function() at = at + 1 return at < 4 and { at = at } or nil end
          end,
          mixed = function() return { "first", name = "x" } end,
        }]] } })
    assert.equals('{"at":1}\n{"at":2}\n{"at":3}\n', home:run("--jsonl", "trial", "rows").out)
    assert.same({ { at = 1 }, { at = 2 }, { at = 3 } }, home:ask("trial", "rows"))
    assert.matches("name%s+x\n", home:run("--quiet", "trial", "mixed").out)
  end)

  it("is looked after by doctor", function()
    local function finding()
      for _, row in ipairs(core.json.decode(home:run("--sandbox", "--json",
        "doctor").out).findings) do
        if row.check:find("^plugin") then return row end
      end
    end
    assert.same({ "ok", "no plugins are installed" }, { finding().state, finding().text })
    home:install("trial")
    assert.same({ "plugin trial", "ok", "1.0.0, unchanged since its installation" },
      { finding().check, finding().state,
      finding().text })
    program.write(home:place("trial") .. "/main.lua", "return { changed = true }")
    assert.equals("fail", finding().state)
    assert.matches("main.lua was changed", finding().text, 1, true)
  end)
end)

describe("the restocker", function()
  local home, sandbox

  before_each(function()
    home, sandbox = plugins.home(), sandboxes.start()
    home.env = {
      PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key, PROXYLUA_LIMITS = "off",
        PROXYLUA_SPEND = "100",
    }
  end)
  after_each(function()
    home:remove()
    sandbox:stop()
  end)

  it("passes its own spec", function()
    local result = home:run("plugin", "test", restocker)
    assert.equals(0, result.code, result.err)
  end)

  it("is installed, buys what is missing, and spends no more than it may", function()
    local installed = home:run("plugin", "install", restocker, "--yes")
    assert.equals(0, installed.code)
    assert.matches("spend up to 50.00 per run", installed.err, 1, true)
    local row = home:ask("restocker", "restock", "--quantity", "4", "--only-show")
    assert.same({ 0, 4 }, { row.bought, row.missing })
    row = home:ask("restocker", "restock", "--quantity", "4")
    assert.same({ 4, 0 }, { row.bought, row.there })
    row = home:ask("restocker", "restock", "--quantity", "4")
    assert.same({ 0, 4 }, { row.bought, row.there })
    local stock = home:ask("restocker", "stock")
    assert.same({ 1, "isp", "US", 4 }, { #stock, stock[1].type, stock[1].country,
      stock[1].quantity })
    local refused = home:run("restocker", "restock", "--quantity", "30")
    assert.same({ 6, "" }, { refused.code, refused.out }) -- 62.40, and it may spend 50
    assert.equals(1, #home:ask("orders", "list"))
  end)

  it("sends a message to its channel", function()
    local server = servers.start{ ["/hook"] = servers.ok("ok") }
    local plugin = sources.of_folder(restocker)
    local modules = {}
    for _, file in ipairs(plugin.files) do modules[file.name] = file.data end
    -- The webhook is on this machine, which no installed plugin could reach.
    modules["notify.lua"] = modules["notify.lua"]:gsub('px%.env%("RESTOCKER_WEBHOOK"%)',
      ("%q"):format(server.url .. "/hook"))
    local instance = host.start{
      name = "restocker", modules = modules, manifest = plugin.manifest, reach = "loopback",
      permissions = { net = { server.url:match("//(.*)$") } },
    }
    finally(function()
      instance:close()
      server:stop()
    end)
    instance:event("order_placed", { id = "ord_1", type = "isp", quantity = 2, country = "US",
      price = core.money.new("4.80") })
    instance:event("charge_refused", { kind = "funds", message = "the balance is too low" })
    instance:event("order_placed", { id = "ord_2", sandbox = true })
    local requests = server:requests()
    assert.equal(2, #requests)
    assert.matches('{"text":"bought ord_1: 2 isp proxies in US for 4.80"}', requests[1], 1, true)
    assert.matches('{"text":"not bought (funds): the balance is too low"}', requests[2], 1, true)
  end)
end)

describe("plugins are notified of every charge", function()
  local home, sandbox

  before_each(function()
    home, sandbox = plugins.home(), sandboxes.start()
    home.env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000", PROXYLUA_SETTLE = "0.1s" }
    home:install("listener", { manifest = [[on = { order_placed = "order_placed",
      order_extended = "order_extended", charge_refused = "charge_refused",
      request_charged = "request_charged" }]], files = { ["main.lua"] = [[
      local px = require "proxylua"
      local function log_of(event)
        return function(data) px.log.error(event .. " " .. px.json.encode(data)) end
      end
      return { order_placed = log_of "order_placed", order_extended = log_of "order_extended",
        charge_refused = log_of "charge_refused",
        request_charged = log_of "request_charged" }]] } })
  end)
  after_each(function()
    home:remove()
    sandbox:stop()
  end)

  -- The events of a run by their names, sorted by what they hold, and the run's result.
  local function heard(...)
    local result = home:run(...)
    local events = {}
    for event, data in result.err:gmatch("proxylua: listener: error: (%S+) ([^\n]+)\n") do
      events[event] = events[event] or {}
      table.insert(events[event], core.json.decode(data))
    end
    return events, result
  end

  local function counts(events)
    local found = {}
    for event, list in pairs(events) do found[event] = #list end
    return found
  end

  local function eval(code, flag)
    local words = { flag }
    table.move({ "-e", "local px = require 'proxylua' " .. code }, 1, 2, #words + 1, words)
    return heard(table.unpack(words))
  end

  it("of functions", function()
    local events, result = eval([[
      local wanted = { type = "isp", country = "US", quantity = 2, period = 2, key = "k" }
      local order = px.orders.create(wanted)
      px.orders.extend(order.id, { period = 30, key = "l" })
      px.orders.create(wanted)
      px.orders.extend(order.id, { period = 30, key = "l" })
      px.try(px.orders.create, { type = "isp", quantity = 1, max_price = "0.01" })
      order.id = "changed"]], "--quiet")
    assert.same({ order_placed = 1, order_extended = 1, charge_refused = 1 }, counts(events))
    assert.equal(0, result.code)
    local placed = events.order_placed[1]
    assert.matches("^ord_", placed.id)
    assert.same({ "isp", "US", 2, 2 },
      { placed.type, placed.country, placed.quantity, placed.period })
    assert.is_nil(placed.sandbox)
    assert.equal(placed.id, events.order_extended[1].id)
    assert.same({ "orders.create", "spend_refused" },
      { events.charge_refused[1].endpoint, events.charge_refused[1].kind })
  end)

  it("of requests by path, in each dialect", function()
    sandbox:change("settings", { dialect = "bare" })
    local events = eval[[
      local json = { type = "isp", country = "US", quantity = 2, period = 2 }
      local order = px.request{ method = "POST", path = "/orders", json = json }
      px.request{ method = "POST", path = ("/orders/%s/extend"):format(order.id),
        json = { period = 1 } }]]
    assert.same({ order_placed = 1, order_extended = 1 }, counts(events))
    local placed = events.order_placed[1]
    assert.same({ "isp", 2, placed.id },
      { placed.type, placed.quantity, events.order_extended[1].id })
    local server = servers.start{
      ["/account"] = servers.ok('{"success":true,"data":{"id":"acc_1","balance":"9.30"}}'),
      ["/gifts"] = servers.ok('{"success":true,"data":{"sent":1}}'),
    }
    finally(function() server:stop() end)
    home.env.PROXYLUA_BASE_URL, home.env.PROXYLUA_API_KEY = server.url, "sk_live_0123456789abcdef"
    events = eval([[px.request{ method = "POST", path = "/gifts", max_price = 3 }]])
    assert.same({ request_charged = { { endpoint = "POST /gifts", price = 3 } } }, events)
  end)

  it("of commands, and of those that fail", function()
    local words = { "--type", "isp", "--country", "US", "--quantity", "2", "--period", "2" }
    local events = heard("orders", "create", table.unpack(words))
    assert.same({ order_placed = 1 }, counts(events))
    events = heard("orders", "extend", events.order_placed[1].id, "--period", "1")
    assert.same({ order_extended = 1 }, counts(events))
    events = heard("api", "POST", "/orders", "-f", "type=isp", "-f", "quantity:=1", "-f",
      "period:=2")
    assert.same({ order_placed = 1 }, counts(events))
    local refused, result = heard("orders", "create", "--max-price", "0.01", table.unpack(words))
    assert.same({ 6, 1 }, { result.code, #refused.charge_refused })
    assert.same({}, counts((heard("--dry-run", "orders", "create", table.unpack(words)))))
    assert.same({}, counts((heard("--dry-run", "orders", "create", "--max-price", "0.01",
      table.unpack(words)))))
  end)

  it("of renewals and fleets", function()
    local file = program.write(home.path .. "/fleet.lua", [[return {
      { name = "us", type = "isp", country = "US", quantity = 3, period = 2, batch = 2 } }]])
    local events, result = heard("fleet", "apply", file)
    assert.same({ order_placed = 2 }, counts(events), result.err)
    events, result = heard("renew", "--within", "3d", "--period", "7")
    assert.same({ order_extended = 2 }, counts(events), result.err)
    assert.same({}, counts((heard("renew", "--within", "3d", "--period", "7"))))
    events, result = eval([[
      px.fleet.apply(px.fleet.plan{
        { name = "de", type = "isp", country = "DE", quantity = 1, period = 2 } })
      px.renew{ within = "3d", period = 7 }]])
    assert.same({ order_placed = 1, order_extended = 1 }, counts(events), result.err)
  end)

  it("and a run with --sandbox marks them all", function()
    local events = eval([[
      local order = px.orders.create{ type = "isp", country = "US", quantity = 2, period = 2 }
      px.orders.extend(order.id, { period = 30 })
      px.try(px.orders.create, { type = "isp", quantity = 1, max_price = "0.01" })]], "--sandbox")
    assert.same({ order_placed = 1, order_extended = 1, charge_refused = 1 }, counts(events))
    for _, list in pairs(events) do assert.is_true(list[1].sandbox) end
  end)

  it("which requiring the standard module does not change", function()
    local result = home:run("-e", [[
      local endpoints = require "proxylua.api.endpoints"
      local before = {}
      for group, functions in pairs(endpoints) do
        for name, fn in pairs(functions) do before[group .. name] = fn end
      end
      local px = require "proxylua"
      for group, functions in pairs(endpoints) do
        assert(functions ~= px[group] and not getmetatable(functions))
        for name, fn in pairs(functions) do
          assert(before[group .. name] == fn)
          before[group .. name] = nil
        end
      end
      assert(next(before) == nil)
      local _, err = px.try(px.account.get, px.account)
      print(err.message)]])
    assert.matches("called with a colon", result.out, 1, true)
  end)
end)
