local core = require "proxylua.core"
local program = require "spec.support.program"
local servers = require "spec.support.server"

local run, quote = program.run, program.quote

describe("running scripts", function()
  local home

  before_each(function() home = program.folder() end)
  after_each(function() program.remove(home) end)

  local function script(text, name)
    return program.write(home .. "/" .. (name or "script.lua"), text)
  end

  it("hands over the arguments untouched", function()
    local path = script("#!/usr/bin/env proxylua\nprint(arg[0], #arg, ...)")
    assert.are.equal(path .. "\t4\t--json\t-x\t--\ta b\n", run{ "-q", path, "--json", "-x", "--",
      "a b" }.out)
    assert.are.equal("-\t1\tx\n", run({ "-", "x" }, { stdin = "print(arg[0], #arg, ...)" }).out)
    assert.are.equal("-e\t0\n", run{ "-e", "print(arg[0], #arg, ...)" }.out)
  end)

  it("runs code, several times, before the script", function()
    local path = script("print('script', x, ...)")
    assert.are.equal("script\t3\ta\n", run{ "-e", "x = 1", "-ex = x + 2", path, "a" }.out)
  end)

  it("runs standard input when it is not a terminal", function()
    assert.are.equal("1\n", run({}, { stdin = "#!proxylua\nprint(1)" }).out)
    local result = run({}, { stdin = "\n\nerror('here')" })
    assert.has.match("stdin:3: here", result.err)
  end)

  it("keeps line numbers behind a first line with #! and a byte order mark", function()
    local result = run{ script("\xEF\xBB\xBF#!/usr/bin/env proxylua\nerror('here')") }
    assert.has.match("script.lua:2: here", result.err)
    assert.are.equal(1, result.code)
  end)

  it("finds modules beside the script, and none in the working directory", function()
    script("return 'beside'", "helper.lua")
    local path = script("print((require 'helper'))")
    assert.are.equal("beside\n", run{ path }.out)
    assert.are.equal("beside\n", run({ "./script.lua" }, { cwd = home }).out)
    assert(os.execute(("ln -s %s/script.lua %s/link"):format(home, home)))
    assert.are.equal("beside\n", run{ home .. "/link" }.out)
    local result = run({ "-e", "require 'helper'" }, { cwd = home })
    assert.has.match("module 'helper' not found", result.err)
    assert.is_nil(run{ "-e", "print(package.path, package.cpath)" }.out:find("%f[%S;]%./"))
  end)

  local function refused(arguments, options)
    local result = run(arguments, options)
    assert.are.equal(2, result.code, result.err)
    assert.are.equal("", result.out)
    assert.has.match("^proxylua: [^\n]+\n$", result.err)
    return result.err
  end

  it("refuses a file that is not a script", function()
    assert.has.match("cannot read the script .*/none.lua: No such file",
      refused{ home .. "/none.lua" })
    assert.has.match("is a folder", refused{ home .. "/" })
    assert.has.match("is compiled Lua", refused{ script(string.dump(function() end)) })
    assert.has.match("compiled Lua", refused({ "-" }, { stdin = "\27Lua" }))
    assert.has.match("compiled Lua", refused{ "-e", "\27Lua" })
    assert(os.execute("ln -s loop " .. quote(home .. "/loop")))
    assert.has.match("cannot read the script", refused{ home .. "/loop" })
  end)

  it("reports a syntax error without a traceback", function()
    local result = run{ script("print(1)\nlocal = 2") }
    assert.are.equal(1, result.code)
    assert.are.equal("", result.out)
    assert.has.match("^proxylua: .*script.lua:2: [^\n]*near '='\n$", result.err)
  end)

  it("takes a word for a command before a script, unless it looks like one", function()
    script("print('script')", "orders")
    script("print('script')", "restock")
    assert.has.match("orders", refused({ "orders" }, { cwd = home }))
    assert.are.equal("script\n", run({ "./orders" }, { cwd = home }).out)
    assert.are.equal("script\n", run({ "--", "orders" }, { cwd = home }).out)
    assert.are.equal("script\n", run({ "restock" }, { cwd = home }).out)
    assert.has.match("did you mean orders", refused({ "odrers" }, { cwd = home }))
  end)

  it("does not start with a bad base URL", function()
    assert.has.match("https", refused{ "--base-url", "http://example.com", "-e", "" })
    assert.has.match("base URL", refused{ "--base-url", "https://user:pw@example.com", "-e", "" })
  end)
end)

describe("PROXYLUA_LUA_DIR", function()
  it("names the folder that the Lua parts come from", function()
    local home = program.folder()
    assert(os.execute(("cp -r lua %s/lua"):format(home)))
    program.write(home .. "/lua/proxylua/util/time.lua", "error('from the folder')")
    local result = run({ "-e", "require 'proxylua'" },
      { env = { PROXYLUA_LUA_DIR = home .. "/lua" } })
    program.remove(home)
    assert.has.match("from the folder", result.err)
  end)
end)

describe("options", function()
  it("may stand before and after a command", function()
    for _, arguments in ipairs{
      { "--sandbox", "--json", "account", "get" }, { "account", "--sandbox", "get", "--json" },
      { "account", "get", "--json", "--sandbox" }, { "-q", "account", "get", "--sandbox", "--json",
        "-v" },
    } do
      local result = run(arguments)
      assert.are.equal(0, result.code, result.err)
      assert.has.match('"balance":', result.out)
    end
  end)

  it("name the nearest known one", function()
    assert.has.match("unknown option %-%-sandbx, did you mean %-%-sandbox", run{ "--sandbx" }.err)
    assert.has.match("%-%-sandbox", run{ "account", "get", "--sandbx" }.err)
    assert.has.match("create", run{ "orders", "creat" }.err)
    assert.are.equal("proxylua: unknown option '--quantiy', did you mean '--quantity'? "
      .. "run proxylua orders create --help\n",
      run{ "orders", "create", "--quantiy", "2" }.err)
    assert.has.match("%-%-json takes no value", run{ "--json=1" }.err)
    assert.has.match("%-%-spend needs its AMOUNT", run{ "--spend" }.err)
  end)

  it("show help and version", function()
    assert.has.match("^proxylua " .. core.version:gsub("%p", "%%%0") .. " ", run{ "--version" }.out)
    local overview = run{ "--help" }
    assert.are.equal(0, overview.code)
    assert.are.equal(overview.out, run{ "help" }.out)
    local options = run{ "help", "options" }.out
    for _, option in ipairs(require("proxylua.cli.args.options").rows) do
      assert.is_truthy(options:find("--" .. option[1], 1, true), option[1])
    end
  end)

  it("need no working configuration for help", function()
    local env = { PROXYLUA_CONFIG = "/nothing.lua" }
    for _, arguments in ipairs{ { "--help" }, { "--version" }, { "help", "orders" },
      { "orders", "list", "--help" } } do
      assert.are.equal(0, run(arguments, { env = env }).code)
    end
  end)
end)

describe("help", function()
  it("has an example for every command, and one that the parser takes", function()
    local asked = { { "options" } }
    for _, name in ipairs(require("proxylua.cli.commands").names()) do
      asked[#asked + 1] = { name }
    end
    for _, row in ipairs(core.endpoints()) do
      local group, name = row.name:match("^(.-)%.(.+)$")
      asked[#asked + 1] = { group }
      asked[#asked + 1] = { group, (name:gsub("_", "-")) }
    end
    for _, words in ipairs(asked) do
      local result = run{ "help", table.unpack(words) }
      assert.are.equal(0, result.code, result.err)
      assert.has.match("Example:\n", result.out)
      if words[2] then
        assert.are.equal(result.out, run{ words[1], words[2], "--help" }.out)
        local example = result.out:match("Example:\n  proxylua ([^\n]+)")
        assert.is_truthy(example:find(table.concat(words, " "), 1, true))
      end
    end
  end)

  it("names the nearest topic", function()
    assert.has.match("did you mean config", run{ "help", "confg" }.err)
  end)

  it("and completion have no JSON", function()
    for _, words in ipairs{ { "--json", "help" }, { "--jsonl", "completion", "bash" } } do
      local result = run(words)
      assert.are.same({ 2, "" }, { result.code, result.out })
      assert.has.match(words[1] .. ": " .. words[2] .. " cannot be printed as JSON", result.err, 1,
        true)
    end
  end)

  it("lists every command and topic in the overview", function()
    local overview = run{ "help" }.out
    for _, name in ipairs(require("proxylua.cli.commands").names()) do
      assert.is_truthy(overview:find("\n  " .. name .. " ", 1, true), name)
    end
    local topics = overview:match("help TOPIC(.-)help px"):gsub("%s+", " ")
    for _, name in ipairs(require("proxylua.help").topics()) do
      assert.is_truthy(topics:find(name, 1, true), name)
    end
  end)

  it("shows the texts of docs/help, each of which belongs to a topic or a command", function()
    local pipe = assert(io.popen("ls docs/help/*.txt"))
    for path in pipe:lines() do
      local shown = run{ "help", path:match("([%w-]+)%.txt$") }
      assert.are.equal(0, shown.code, path)
      assert.is_truthy(shown.out:find(program.read(path), 1, true), path)
    end
    assert(pipe:close())
    assert.are.equal(run{ "help", "exit", "codes" }.out, run{ "help", "exit-codes" }.out)
  end)

  it("fits 80 columns for every command and topic", function()
    local subjects = { {}, { "px" } }
    for _, name in ipairs(require("proxylua.help").topics()) do
      subjects[#subjects + 1] = { name }
    end
    for _, name in ipairs(require("proxylua.cli.commands").names()) do
      subjects[#subjects + 1] = { name }
    end
    for _, words in ipairs(subjects) do
      local result = run({ "help", table.unpack(words) }, { env = { COLUMNS = "80" } })
      assert.are.equal(0, result.code)
      for line in result.out:gmatch("[^\n]+") do
        local is_given = line:find("^  proxylua ") or line:find("^The file here:")
        assert.is_true(utf8.len(line) <= 80 or is_given ~= nil, line)
      end
    end
  end)

  it("shows functions that scripts call, alone and in a list", function()
    local one = run{ "help", "px.orders.create" }
    assert.has.match(
      "^px.orders.create%(params%)\n\n.*Parameters:\n.*Returns:\n.*Raises:\n"
        .. ".*spend_refused.*Example:\n",
      one.out)
    assert.are.equal(one.out, run{ "help", "orders.create" }.out)
    assert.has.match("known: active, expired, cancelled",
      (run{ "help", "px.orders.list" }.out:gsub("\n *", " ")))
    local list = run{ "help", "px" }.out
    for _, entry in ipairs(require("proxylua.help.reference").all()) do
      assert.is_truthy(list:find("\n?  " .. entry.name:gsub("%p", "%%%0") .. "%f[%s]"), entry.name)
    end
    local orders = run{ "help", "px.orders" }.out
    assert.is_truthy(orders:find("px.orders.wait", 1, true))
    assert.is_nil(orders:find("px.account", 1, true))
    assert.has.match("did you mean px.orders.wait", run{ "help", "px.orders.wiat" }.err)
    assert.has.match("did you mean px.orders?", run{ "help", "px.ordres" }.err, 1, true)
    assert.has.match("no help on order create, did you mean orders?",
      run{ "help", "order", "create" }.err, 1, true)
  end)

  it("has the exit code of every kind of error", function()
    local kinds = {}
    for _, row in ipairs(require "proxylua.help.exit_codes") do
      for word in row[2]:gmatch("[%l_]+") do kinds[word] = kinds[word] or row[1] end
    end
    for _, kind in ipairs{ "cancelled", "config", "auth", "forbidden", "not_found", "invalid",
      "funds", "key_reused", "upstream", "network", "timeout", "protocol", "rate_limited", "store",
      "outcome_unknown", "spend_refused", "internal" } do
      assert.are.equal(core.system.exit_code(core.error.new{ kind = kind, message = "x" }),
        kinds[kind], kind)
    end
  end)

  it("lists every setting", function()
    local text = run{ "help", "config" }.out
    for _, row in ipairs(require("proxylua.settings").rows) do
      assert.is_truthy(text:find(row[1], 1, true), row[1])
    end
  end)
end)

describe("commands of the API", function()
  local sandbox, env

  before_each(function()
    sandbox = core.sandbox.start{ limits = "off", balance = "1000.00" }
    env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_LIMITS = "off" }
  end)

  after_each(function() core.sandbox.stop() end)

  local function call(...)
    local result = run({ ... }, { env = env })
    assert.are.equal(0, result.code, result.err)
    return result.out, result.err
  end

  local function call_json(...)
    return core.json.decode((call("--json", ...)))
  end

  local function buy(quantity)
    return call_json("--spend", "200", "orders", "create", "--type", "isp", "--quantity",
      tostring(quantity or 2),
      "--country", "US", "--period", "30", "--key", "k" .. (quantity or 2))
  end

  it("cover every endpoint", function()
    assert.has.match("^email\tbalance\n%S+\t1000.00\n$", (call("account", "get")))
    local quote_of = call("orders", "calc", "--type", "isp", "--quantity", "2", "--country", "US")
    assert.has.match("^price\n%d+%.%d%d\n$", quote_of)
    local order = buy()
    assert.are.equal(2, order.quantity)
    assert.are.equal(order.id, call_json("orders", "get", order.id).id)
    assert.are.equal(order.id, call_json("orders", "list")[1].id)
    assert.are.equal(2, #call_json("orders", "proxies", order.id))
    local before = order.expires_at
    local extended = call_json("--spend", "100", "orders", "extend", order.id, "--period", "30")
    assert.is_true(extended.expires_at > before)
    assert.is_true(#call_json("account", "transactions", "--limit", "5") > 0)
    for _, name in ipairs{ "countries", "proxy-types", "periods" } do
      assert.is_true(#call_json("reference", name) > 0)
    end
    local address = call_json("deposits", "create-address", "--currency", "USDT", "--network",
      "TRC20")
    assert.are.equal("USDT", address.currency)
    assert.are.equal(address.address, call_json("deposits", "addresses")[1].address)
  end)

  it("buy nothing in a dry run", function()
    local out, err = call("--dry-run", "--spend", "100", "orders", "create", "--type", "isp",
      "--quantity", "1")
    assert.has.match("dry run", err)
    assert.has.match("\n", out)
    assert.are.equal(0, #call_json("orders", "list"))
  end)

  it("names the option in a mistake, not the parameter of a function", function()
    for message, words in pairs{
      ["--quantity is 0"] = { "orders", "create", "--type", "isp", "--quantity", "0" },
      ["--limit is 1000"] = { "orders", "list", "--limit", "1000" },
      ["--failing must be"] = { "alerts", "--failing", "200" },
      ["--balance must be"] = { "alerts", "--balance", "lots" },
      ["--since takes a date"] = { "report", "--since", "x" },
      ["--concurrency must be"] = { "check", "--concurrency", "0" },
      ["--expect-country must be"] = { "check", "--expect-country", "USA" },
      ["--expect-address must be"] = { "check", "--expect-address", "here" },
      ["--period must be"] = { "renew", "--within", "3d", "--period", "0" },
    } do
      local result = run({ table.unpack(words) }, { env = env })
      assert.are.equal(2, result.code, result.err)
      assert.has.match("proxylua: " .. message, result.err, 1, true)
    end
  end)

  it("print tab-separated columns in a pipe, with a header and passwords", function()
    local order = buy()
    local out = call("orders", "list", "--status", "active")
    assert.are.equal("id\ttype\tquantity\tperiod\tcountry\tstatus\tprice\tcreated_at\texpires_at",
      out:match("^[^\n]*"))
    assert.has.match("\n" .. order.id .. "\tisp\t2\t30\tUS\tactive\t%d+%.%d%d\t", out)
    local proxy = call_json("orders", "proxies", order.id)[1]
    out = call("orders", "proxies", order.id)
    assert.are.equal("host\tport\tusername\tpassword\tprotocol\turl", out:match("^[^\n]*"))
    assert.is_truthy(out:find(proxy.password, 1, true))
  end)

  it("print one JSON value with --json, also for an empty list", function()
    local out = call("--json", "orders", "list")
    assert.are.equal("[]\n", out)
    assert.are.equal(1, select(2, call("--json", "account", "get"):gsub("\n", "")))
  end)

  it("page, and go through all pages", function()
    for at = 1, 5 do buy(at) end
    local out, err = call("orders", "list", "--limit", "2")
    assert.are.equal(3, select(2, out:gsub("\n", "")))
    assert.has.match("%-%-page 2 or %-%-all", err)
    assert.are.equal(2, #call_json("orders", "list", "--limit", "2", "--page", "2"))
    assert.are.equal(5, #call_json("orders", "list", "--limit", "2", "--all"))
    assert.are.equal(5, #call_json("orders", "list", "--all"))
  end)

  it("save a download, whole or not at all", function()
    local order, folder = buy(), program.folder()
    local text = call("orders", "download", order.id)
    assert.are.equal(2, select(2, text:gsub("[^\n]+", "")))
    local out, err = call("orders", "download", order.id, "--format", "csv", "-o",
      folder .. "/p.csv")
    assert.are.equal("", out)
    assert.has.match("saved", err)
    local csv = call("orders", "download", order.id, "--format", "csv")
    assert.are.equal(csv, program.read(folder .. "/p.csv"))
    assert.are.equal(csv, call("orders", "download", order.id, "--format", "csv", "-o", "-"))
    assert.are.same({ file = folder .. "/p.txt" }, call_json("orders", "download", order.id, "-o",
      folder .. "/p.txt"))
    core.sandbox.stop()
    sandbox = core.sandbox.start{ limits = "off", faults = { "orders.download:truncate" } }
    env.PROXYLUA_BASE_URL = sandbox.url
    local result = run({ "orders", "download", order.id, "-o", folder .. "/q.txt" }, { env = env })
    assert.are_not.equal(0, result.code)
    assert.is_nil(core.system.kind(folder .. "/q.txt"))
    program.remove(folder)
  end)

  it("refuse bad parameters before a request, with the nearest name", function()
    local result = run({ "account", "transactions", "--limit", "many" }, { env = env })
    assert.has.match("limit.*many", result.err)
    result = run({ "orders", "list", "--statu", "active" }, { env = env })
    assert.has.match("%-%-status", result.err)
  end)

  it("reach any path with api", function()
    assert.is_truthy(call_json("api", "GET", "/account").balance)
    local quote_of = call_json("api", "POST", "/orders/calc", "-f", "type=isp", "-f", "quantity:=3",
      "-f", "country=US")
    assert.is_truthy(quote_of.price)
    buy()
    assert.are.equal(1, #call_json("api", "get", "/orders", "-f", "status=active"))
    local result = run({ "api", "POST", "/other", "-f", "a=b" }, { env = env })
    assert.are.equal(2, result.code)
    assert.has.match("max%-?_?price", result.err)
    result = run({ "api", "POST", "/orders/calc", "-f", "quantity:=x" }, { env = env })
    assert.has.match("not JSON", result.err)
    result = run({ "api", "GET", "/account", "-f", "novalue" }, { env = env })
    assert.has.match("KEY=VALUE", result.err)
  end)

  it("show no words of a server that a terminal obeys, and neither does a script that fails",
    function()
    local body =
      '{"error":{"message":"a\\u001b[2J b\xC2\x9B2J c\xE2\x80\xAE","code":"X\\u001b[2J"}}'
    local answer = servers.ok(body)
    answer[1] = answer[1]:gsub("200 OK", "404 Not Found")
    local server = servers.start{ ["/orders"] = answer }
    local there = { env = { PROXYLUA_API_KEY = "sk_test_00000000",
      PROXYLUA_BASE_URL = server.url } }
    local command = run({ "orders", "list" }, there)
    local failed = run({ "-e", "require('proxylua').orders.list()" }, there)
    server:stop()
    assert.has.match("a %[2J b  2J c%? %(orders%.list, X %[2J%)", command.err)
    assert.has.match("a %[2J b  2J c", failed.err)
    assert.is_nil(failed.err:find("[\27\x9B]"))
  end)

  it("keep control characters of others out of the columns", function()
    local tables = require "proxylua.term.table"
    assert.are.same({ "a", "x y z" }, tables.plain({ "a" }, { { a = "x\ty\nz" } }))
    local lines = tables.aligned({ "a" }, { { a = "\27[2J\7é\xC2\x9B" } }, 80)
    assert.are.same({ "a", "?[2J?é?" }, lines)
    assert.are.same({ "a", "?" }, (tables.aligned({ "a" }, { { a = "\xFF" } }, 80)))
  end)
end)

-- script(1) gives the program a terminal of its own; its lines end in \r\n.
describe("on a terminal", function()
  local home

  before_each(function() home = program.folder() end)
  after_each(function() program.remove(home) end)

  local function on_terminal(arguments, columns, env)
    local line = ("stty cols %d; %s"):format(columns or 80, program.command(home, arguments, env))
    local status = home .. "/status"
    assert(os.execute(("script -qec %s /dev/null </dev/null >%s 2>&1; echo $? >%s")
      :format(quote(line), quote(home .. "/typescript"), quote(status))))
    return (program.read(home .. "/typescript"):gsub("\r\n", "\n")), tonumber(program.read(status))
  end

  local function lines_of(text)
    local lines = {}
    for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
    return lines
  end

  it("escapes in JSON what a terminal obeys, and nothing for a pipe", function()
    local server = servers.start{ ["/account"] =
      servers.ok('{"email":"a\xC2\x9B2J \xE2\x80\xAE é","balance":"1"}') }
    local env = { PROXYLUA_API_KEY = "sk_test_00000000", PROXYLUA_BASE_URL = server.url }
    local shown = on_terminal({ "--json", "account", "get" }, 80, env)
    local piped = run({ "--json", "account", "get" }, { env = env }).out
    server:stop()
    assert.are.equal('{"balance":1.00,"email":"a\\u009b2J \\u202e é"}\n', shown)
    assert.are.equal('{"balance":1.00,"email":"a\xC2\x9B2J \xE2\x80\xAE é"}\n', piped)
  end)

  it("shows aligned tables that fit, numbers on the right", function()
    local wide = lines_of((on_terminal({ "--sandbox", "--no-color", "reference", "countries" },
      80)))
    assert.has.match("^code", wide[1])
    for _, width in ipairs{ 40, 80, 120 } do
      local text = on_terminal({ "--sandbox", "--no-color", "reference", "proxy-types" }, width)
      for _, line in ipairs(lines_of(text)) do
        assert.is_true(utf8.len(line) <= width or line:find("^proxylua:") ~= nil, line)
      end
    end
    local tables = require "proxylua.term.table"
    local lines = tables.aligned({ "id", "quantity", "price" }, {
      { id = "a", quantity = 5, price = core.money.new("10.5") },
      { id = "bcd", quantity = 1000, price = core.money.new(2) },
    }, 80)
    assert.are.same({ "id   quantity  price", "a           5  10.50", "bcd      1000   2.00" },
      lines)
  end)

  it("goes by COLUMNS before the terminal's width", function()
    for _, width in ipairs{ 30, 60 } do
      local text = on_terminal({ "--sandbox", "--no-color", "reference", "proxy-types" }, 120,
        { COLUMNS = width })
      for _, line in ipairs(lines_of(text)) do
        assert.is_true(utf8.len(line) <= width or line:find("^proxylua:") ~= nil, line)
      end
    end
    assert.is_truthy(on_terminal({ "orders", "list", "--help" }, 50):find("Usage", 1, true))
    for _, line in ipairs(lines_of(on_terminal({ "orders", "create", "--help" }, 50))) do
      assert.is_true(utf8.len(line) <= 50 or line:find("^  proxylua") ~= nil, line)
    end
  end)

  it("leaves out first what is missed least, and says so", function()
    local tables = require "proxylua.term.table"
    local order = { id = "ord_k3j9x2m4qa", type = "isp", quantity = 10, period = 30, country = "US",
      status = "active",
      price = core.money.new("27.90"), created_at = "2026-11-23T22:15:00Z",
        expires_at = "2026-12-23T22:15:00Z" }
    local lines, dropped = tables.aligned(tables.known_columns("order"), { order }, 64, "order")
    assert.are.same({ "created_at", "period" }, dropped)
    assert.has.match("^id .*price .*expires_at$", lines[1])
    lines = tables.aligned(tables.known_columns("order"), { order }, 40, "order")
    assert.has.match("^id .*status .*price$", lines[1])
  end)

  it("cuts texts and leaves out columns where it is narrow, never numbers", function()
    local tables = require "proxylua.term.table"
    local records = { { id = "ord_1", note = ("x"):rep(40), n = 123456 } }
    local lines, dropped = tables.aligned({ "id", "note", "n" }, records, 30)
    assert.are.same({ "id     note" .. (" "):rep(11) .. "       n", "ord_1  " .. ("x"):rep(14)
      .. "…  123456" }, lines)
    assert.are.same({}, dropped)
    lines, dropped = tables.aligned({ "id", "note", "n" }, records, 16)
    assert.are.same({ "n" }, dropped)
    assert.are.equal(2, #lines)
    local long = { { id = ("y"):rep(50), note = ("x"):rep(50), n = 123456 } }
    lines, dropped = tables.aligned({ "id", "note", "n" }, long, 40)
    assert.are.same({ "id" .. (" "):rep(24) .. "note         n", ("y"):rep(23) .. "…  "
      .. "xxxxx…  123456" }, lines)
    assert.are.same({}, dropped)
    lines, dropped = tables.aligned({ "id", "note", "n" }, long, 20)
    assert.are.same({ "id            note", "yyyyyyyyyyy…  xxxxx…" }, lines)
    assert.are.same({ "n" }, dropped)
    assert.are.same({ "id", "yyyyyyyyyyyyyyyyyyy…" }, (tables.aligned({ "id" }, long, 20)))
    local order = { id = "ord_1", quantity = 5, created_at = "2026-11-23T22:15:00Z", type = "isp" }
    local columns = { "id", "quantity", "type", "created_at" }
    assert.are.same({ "id     quantity  type  created_at",
      "ord_1         5  isp   2026-11-23 22:15" },
      (tables.aligned(columns, { order }, 40)))
    assert.are.same({ "id     quantity  type  created_at", "ord_1         5  isp   2026-11-23" },
      (tables.aligned(columns, { order }, 35)))
    assert.are.same({ "id     quan…  type  created_at", "ord_1      5  isp   2026-11-23" },
      (tables.aligned(columns, { order }, 30)))
  end)

  it("hides passwords in JSON inside of any text, and in tables that contain themselves", function()
    local tables = require "proxylua.term.table"
    local text = core.json.encode{ answer = { password = 'a"b\\', note = "pass: x" }, pass = "",
      user = "me" }
    assert.are.equal(
      '{"answer":{"note":"pass: x","password":"********"},"pass":"********","user":"me"}',
      tables.mask(text))
    local record = { password = "secret", url = "http://me:secret@10.0.0.1:80" }
    record.self = record
    local copy = tables.mask(record)
    assert.are.equal("********", copy.self.self.password)
    assert.are.equal("http://me:********@10.0.0.1:80", copy.url)
  end)

  it("hides passwords by default", function()
    local buy =
      "print(require('proxylua').orders.create{ type = 'isp', quantity = 1, country = 'US' }.id)"
    local sandbox = core.sandbox.start{ limits = "off" }
    local env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_LIMITS = "off" }
    local made = run({ "--spend", "50", "-e", buy }, { env = env })
    local id = made.out:match("%S+")
    env.TERM = "xterm"
    local proxy = core.json.decode(run({ "--json", "orders", "proxies", id }, { env = env }).out)[1]
    local function shows(...)
      return on_terminal({ ... }, 200, env):find(proxy.password, 1, true) ~= nil
    end
    assert.is_false(shows("orders", "proxies", id))
    assert.is_false(shows("orders", "proxies", id, "--json"))
    assert.is_false(shows("api", "GET", "/orders/" .. id .. "/proxies"))
    assert.is_false(shows("orders", "download", id))
    local download = "/orders/" .. id .. "/download"
    assert.is_false(shows("api", "GET", download))
    assert.is_false(shows("--json", "api", "GET", download, "-f", "format=json"))
    assert.is_true(shows("api", "GET", download, "--reveal"))
    assert.truthy(run({ "api", "GET", download }, { env = env }).out:find(proxy.password, 1, true))
    assert.is_true(shows("orders", "proxies", id, "--reveal"))
    assert.is_true(shows("orders", "download", id, "--reveal"))
    assert.are.equal(2, select(2, on_terminal({ "orders", "download", id }, 80, env)))
    core.sandbox.stop()
  end)

  it("has colours by default", function()
    local arguments = { "--sandbox", "reference", "countries" }
    assert.is_truthy(on_terminal(arguments, 80, { TERM = "xterm" }):find("\27[", 1, true))
    assert.is_nil(on_terminal(arguments, 80, { TERM = "xterm", NO_COLOR = "1" }):find("\27", 1,
      true))
    assert.is_nil(on_terminal({ "--no-color", table.unpack(arguments) }, 80,
      { TERM = "xterm" }):find("\27", 1, true))
    assert.is_nil(run(arguments).out:find("\27", 1, true))
  end)
end)

describe("--lock", function()
  local home

  before_each(function() home = program.folder() end)
  after_each(function() program.remove(home) end)

  it("lets one run at a time go on, and is free again however it ended", function()
    local inner = program.command(home, { "--lock", "job", "-e", "print('inner')" })
    local other = program.command(home, { "--lock", "another", "-e", "print('other')" })
    local script = ("print(select(3, os.execute(%q))) os.execute(%q) os.execute('kill -9 "
      .. "$PPID')"):format(inner, other)
    local result = run({ "--lock", "job", "-e", script .. "while true do end" }, { home = home })
    assert.are.equal(137, result.code)
    assert.has.match("another run holds the lock job", result.err)
    assert.is_nil(result.out:find("inner"))
    assert.has.match("other\n", result.out)
    result = run({ "--lock", "job", "-e", "print('free')" }, { home = home })
    assert.are.equal("free\n", result.out)
    assert.are.equal(0, result.code)
  end)

  it("ends the second run with 75, and with --quiet in silence", function()
    local inner = program.command(home, { "--quiet", "--lock", "job", "-e", "" })
    local result = run({ "--lock", "job", "-e",
      ("print(select(3, os.execute(%q)))"):format(inner) }, { home = home })
    assert.are.equal("75\n", result.out)
    assert.are.equal("", result.err)
  end)

  it("takes plain names only", function()
    for _, name in ipairs{ "../x", "a/b", ".hidden", "", "a b" } do
      assert.are.equal(2, run({ "--lock", name, "-e", "" }, { home = home }).code)
    end
  end)
end)
