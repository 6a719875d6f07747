-- What people type by mistake or by habit: it works, or it says which command is meant.

local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

describe("the command line", function()
  local sandbox

  setup(function() sandbox = sandboxes.start() end)
  teardown(function() sandbox:stop() end)

  local function run(...) return sandbox:run{ ... } end

  it("takes short forms of commands, with their options", function()
    for short, whole in pairs{ balance = "account get", ls = "orders list", list = "orders list",
      price = "orders calc --type isp --quantity 2", whoami = "auth status" } do
      local words = {}
      for word in whole:gmatch("%S+") do words[#words + 1] = word end
      local expected = run("--json", table.unpack(words))
      local result = run("--json", short, table.unpack(words, 3))
      assert.are.equal(0, result.code, result.err)
      assert.are.equal(expected.out, result.out, short)
    end
    local bought = run("--json", "buy", "--type", "isp", "--quantity", "1", "--key", "short")
    assert.are.equal(0, bought.code, bought.err)
    assert.has.match('"id":"ord_', bought.out)
    for _, word in ipairs{ "version", "-V", "--version" } do
      assert.has.match("^proxylua %d+%.%d+", run(word).out)
    end
  end)

  it("points from other words to the command that is meant, with exit code 2", function()
    for words, pattern in pairs{ proxies = "orders proxies ORDER", refund = "cannot refund",
      cancel = "cannot cancel", topup = "proxylua deposit", create = "proxylua orders create",
      download = "proxylua orders download", countries = "proxylua reference countries",
      setup = "proxylua auth login",
      quickstart = "proxylua help quickstart", ordres = "did you mean orders",
      ["orders ls"] = "mean list",
      ["orders show"] = "mean get", ["orders buy"] = "mean create", ["plugin add"] = "mean install",
      ["fleet diff"] = "mean plan", ["orders lst"] = "mean list" } do
      local list = {}
      for word in words:gmatch("%S+") do list[#list + 1] = word end
      local result = run(table.unpack(list))
      assert.are.equal(2, result.code, words)
      assert.are.equal("", result.out)
      assert.is_truthy(result.err:find(pattern, 1, true), result.err)
    end
  end)

  it("has help under the words that people look for", function()
    for word, pattern in pairs{ key = "auth login", cron = "--lock", scrapy = "--format",
      quickstart = "proxylua auth login", balance = "account", buy = "orders create" } do
      local result = run("help", word)
      assert.are.equal(0, result.code, result.err)
      assert.is_truthy(result.out:find(pattern, 1, true), word)
    end
  end)

  it("does not take a folder of the same name for a script", function()
    local folder = program.folder()
    assert(os.execute("mkdir " .. folder .. "/restocker"))
    local result = sandbox:run({ "restocker" }, { cwd = folder })
    assert.are.equal(2, result.code)
    assert.has.match("restocker", result.err)
    assert.is_nil(result.err:find("folder", 1, true))
    program.remove(folder)
  end)

  it("labels an option with both of its names on one line, in the characters of the locale",
    function()
    assert.is_truthy(run("help", "bundle").out:find("   -o, --output FILE  ", 1, true))
    for locale, text in pairs{ C = "GET, POST, ...", ["C.UTF-8"] = "GET, POST, …" } do
      local result = sandbox:run({ "help", "api" }, { env = { LC_ALL = locale } })
      assert.is_truthy(result.out:find(text, 1, true), locale)
    end
  end)

  it("prints only the groupings of --by as JSON, and refuses them for a page", function()
    local report = require("proxylua.core").json.decode(
      run("--json", "report", "--by", "type").out)
    local groupings = {}
    for name in pairs(report.by) do groupings[#groupings + 1] = name end
    assert.are.same({ "type" }, groupings)
    local result = run("report", "--by", "type", "--html", "-")
    assert.are.equal(2, result.code)
    assert.has.match("%-%-by cannot be used with %-%-html", result.err)
  end)

  it("shows the records of a list that api gets", function()
    assert.are.equal(0, run("buy", "--type", "isp", "--quantity", "1", "--key", "listed").code)
    local result = run("api", "GET", "/orders")
    assert.are.equal(0, result.code, result.err)
    assert.has.match("\tord_%w+\t", "\t" .. result.out:gsub("\n", "\n\t"))
    assert.is_nil(result.out:find("has_more", 1, true))
    assert.has.match('^%[{', run("--json", "api", "GET", "/orders").out)
  end)

  it("shows the rate limits", function()
    local result = sandbox:run({ "limits" }, { env = { PROXYLUA_LIMITS = "general=7/60" } })
    assert.are.equal(0, result.code, result.err)
    assert.has.match("^scope\trequests\tseconds\tfree\twaiting\tnext\tstate\ngeneral\t7\t60\t7\t",
      result.out)
    assert.has.match("limits are off", run("limits").err)
  end)

  it("names the options that are missing, all at once", function()
    for _, words in ipairs{ { "orders", "create" }, { "price" } } do
      local result = run(table.unpack(words))
      assert.are.equal(2, result.code)
      assert.has.match("%-%-type and %-%-quantity are missing", result.err)
    end
    assert.has.match("%-%-period is missing", run("orders", "extend", "ord_1").err)
  end)
end)

describe("a script", function()
  local folder

  before_each(function() folder = program.folder() end)
  after_each(function() program.remove(folder) end)

  local function run(text, arguments, options)
    local path = program.write(folder .. "/script.lua", text)
    local words = {}
    for _, word in ipairs(options or {}) do words[#words + 1] = word end
    words[#words + 1] = path
    table.move(arguments or {}, 1, #(arguments or {}), #words + 1, words)
    return program.run(words, { home = folder })
  end

  it("gets a hint about options behind its name that it does not use", function()
    local text = "local px = require 'proxylua' print(#arg)"
    local result = run(text, { "--spend", "25" })
    assert.are.same({ 0, "2\n" }, { result.code, result.out })
    assert.has.match("%-%-spend goes to the script.*write proxylua %-%-spend", result.err)
    assert.are.equal("", run(text, { "--spend", "25" }, { "--quiet" }).err)
    assert.are.equal("", run("print(arg[1] == '--spend')", { "--spend", "25" }).err)
    assert.are.equal("", run(text, { "--other" }).err)
  end)

  it("is not started with a --dry-run or --sandbox that it does not use", function()
    local text = "print 'paid'"
    for _, option in ipairs{ "--dry-run", "--sandbox" } do
      local result = run(text, { option })
      assert.are.same({ 2, "" }, { result.code, result.out })
      assert.has.match(option .. " stands after the script", result.err, 1, true)
      assert.are.equal("paid\n", run(text, { option }, { "--" }).out)
    end
  end)

  it("without require gets a hint; -e and standard input have px", function()
    local result = run("print(px.version)")
    assert.are.equal(1, result.code)
    assert.has.match('begin the script with: local px = require "proxylua"', result.err)
    assert.has.match("^%d", program.run({ "-e", "print(px.version)" }, { home = folder }).out)
    result = program.run({ "-" }, { home = folder, stdin = "print(px.version)" })
    assert.has.match("^%d", result.out)
  end)

  it("that is data is refused, with the command that takes it", function()
    for text, pattern in pairs{
      ['return { { name = "us", type = "isp", quantity = 2, period = 30 } }'] = "fleet plan",
      ['{ "version": 1, "pools": [] }'] = "fleet apply",
      ["return { spend = { per_run = 25 } }"] = "PROXYLUA_CONFIG",
    } do
      local result = run(text)
      assert.are.equal(2, result.code, text)
      assert.is_truthy(result.err:find(pattern, 1, true), result.err)
    end
    assert.are.equal(0, run("return { 1, 2 }").code)
  end)
end)
