-- lua/proxylua/api/deposits.lua and `proxylua deposit`: the address, its network,
-- the code, and the wait.

local children = require "spec.support.children"
local codes = require "spec.support.codes"
local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"
local terminals = require "spec.support.terminal"

local sandbox

setup(function() sandbox = sandboxes.start() end)
teardown(function() sandbox:stop() end)
before_each(function() sandbox:change("reset") end)

-- What px.deposits.request returns for each of some parameters, in one run: records, or kinds and
-- messages of errors.
local function ask(list, options)
  return table.unpack((sandbox:eval(([[
    local out = {}
    for at, params in ipairs(px.json.decode(%q)) do
      local deposit, err = px.try(px.deposits.request, params)
      out[at] = deposit or { kind = err.kind, message = err.message }
    end
    return out]]):format(core.json.encode(core.json.array(list))), options)))
end

local function run(...)
  local result = sandbox:run{ ... }
  assert.are.equal(0, result.code, result.err)
  return result.out, result.err
end

describe("px.deposits.request", function()
  it("makes an address, and returns it from then on", function()
    local first, again, spelt = ask{ { currency = "USDT", network = "TRC20" },
      { currency = "USDT", network = "TRC20" },
      { currency = "usdt", network = "trc20" } }
    assert.are.same({ true, false, false }, { first.is_new, again.is_new, spelt.is_new })
    assert.are.same({ first.address, first.address, "USDT", "TRC20" },
      { again.address, spelt.address, spelt.currency, spelt.network })
    assert.are.equal(1, sandbox:look("counters").requests["deposits.create_address"])
  end)

  it("keeps networks apart, and says what is lost on another", function()
    local tron, ether = ask{ { currency = "USDT", network = "TRC20" },
      { currency = "USDT", network = "ERC20" } }
    assert.are_not.equal(tron.address, ether.address)
    assert.are.equal("send USDT on TRC20 only: money sent on another network (ERC20) is lost",
      tron.warning)
    assert.are.equal("send USDT on ERC20 only: money sent on another network (TRC20) is lost",
      ether.warning)
  end)

  it("guesses no network where there are several", function()
    local refused = ask{ { currency = "USDT" } }
    assert.are.equal("usage", refused.kind)
    assert.has.match("ERC20, TRC20", refused.message)
    assert.are.equal(0, sandbox:look("counters").requests["deposits.create_address"] or 0)
    local made, found, other, again = ask{ { currency = "USDT", network = "TRC20" },
      { currency = "USDT" },
      { currency = "USDT", network = "ERC20" }, { currency = "USDT" } }
    assert.are.same({ made.address, "TRC20" }, { found.address, found.network })
    assert.is_true(other.is_new)
    assert.are.equal("usage", again.kind)
  end)

  it("needs no network where there is one, and warns of none", function()
    local bitcoin = ask{ { currency = "btc" } }
    assert.are.same({ "BTC", "BTC" }, { bitcoin.currency, bitcoin.network })
    assert.is_nil(bitcoin.warning)
  end)

  it("finds the address of a request whose response was lost", function()
    sandbox:change("settings", { faults = { "deposits.create_address:cut=after,count=1" } })
    local found, again = ask{ { currency = "LTC" }, { currency = "LTC" } }
    assert.is_string(found.address, found.message)
    assert.are.same({ found.address, false }, { again.address, again.is_new })
    assert.are.equal(1, sandbox:look("counters").requests["deposits.create_address"])
  end)

  it("fails where nothing came of it", function()
    sandbox:change("settings",
      { faults = { "deposits.create_address:status=502,when=before,count=1" } })
    assert.are.equal("upstream", ask{ { currency = "LTC" } }.kind)
  end)

  it("speaks both dialects", function()
    for _, dialect in ipairs{ "envelope", "bare", "snake", "mixed" } do
      sandbox:change("settings", { dialect = dialect })
      local first, again = ask{ { currency = "USDT", network = "TRC20" },
        { currency = "USDT", network = "TRC20" } }
      assert.are.equal(first.address, again.address, dialect)
      assert.is_false(again.is_new)
    end
    sandbox:change("settings", { dialect = "envelope" })
  end)

  it("writes the code of the bare address, with coin and network in words below it", function()
    local base = sandbox.home .. "/code"
    local found = ask{ { currency = "USDT", network = "TRC20", png = base .. ".png",
      svg = base .. ".svg" } }
    local rows, svg = core.qr.rows(found.address), program.read(base .. ".svg")
    assert.are.same(rows, codes.of_png(program.read(base .. ".png"), 8))
    assert.are.same(rows, codes.of_svg(svg))
    assert.has.match(">USDT on TRC20</text>", svg)
  end)

  it("makes the address even where a file cannot be written", function()
    local failed, again = ask{ { currency = "BTC", png = sandbox.home .. "/none/x.png" },
      { currency = "BTC" } }
    assert.are.equal("store", failed.kind)
    assert.is_false(again.is_new)
  end)

  it("refuses what it does not know", function()
    for _, failed in ipairs{ ask{ { network = "TRC20" }, { currency = "" }, { currency = 5 },
      { currency = "BTC", netwrok = "x" }, { currency = "BTC", png = true } } } do
      assert.are.equal("usage", failed.kind)
    end
  end)
end)

describe("px.deposits.request, of a server that responds otherwise", function()
  local server
  after_each(function() server:stop() end)

  local function ask_of(list, made, params)
    server = servers.start{ ["/deposits/addresses"] = { servers.ok(list), servers.ok(made) } }
    return ask({ params }, { env = { PROXYLUA_BASE_URL = server.url } })
  end

  it("warns when the server does not name the network, and asks for an address of the given "
    .. "network", function()
    local found = ask_of('[{"currency":"USDT","address":"T1"}]', "{}", { currency = "USDT" })
    assert.are.equal("T1", found.address)
    assert.has.match("does not report the network", found.warning)
    server:stop()
    local made = ask_of('[{"currency":"USDT","address":"T1"}]', '{"depositAddress":"T2"}',
      { currency = "USDT", network = "TRC20" })
    assert.are.same({ "T2", "TRC20", true }, { made.address, made.network, made.is_new })
  end)

  it("remembers the network that it asked for", function()
    local list = '[{"currency":"USDT","address":"T1"},{"currency":"USDT","address":"T2"}]'
    server = servers.start{ ["/deposits/addresses"] = { servers.ok("[]"),
      servers.ok('{"address":"T2"}'),
      servers.ok(list) } }
    local params = { currency = "USDT", network = "TRC20" }
    local made, found = ask({ params, params }, { env = { PROXYLUA_BASE_URL = server.url } })
    assert.are.same({ "T2", true, "T2", "TRC20", false },
      { made.address, made.is_new, found.address, found.network, found.is_new })
  end)

  it("takes the newest of several", function()
    local found = ask_of('[{"currency":"BTC","address":"b1","created_at":"2026-01-01T00:00:00Z"},'
      .. '{"currency":"BTC","address":"b3","created_at":"2026-03-01T00:00:00Z"},'
      .. '{"currency":"BTC","address":"b2","created_at":"2026-02-01T00:00:00Z"}]', "{}",
      { currency = "BTC" })
    assert.are.equal("b3", found.address)
  end)

  it("reports the networks of the account's addresses", function()
    local found = ask_of('[{"currency":"ETH","network":"ERC20","address":"0x1"},'
      .. '{"currency":"ETH","network":"Arbitrum","address":"0x2"}]', "{}",
      { currency = "ETH", network = "erc20" })
    assert.are.same({ "Arbitrum", "ERC20" }, found.networks)
    assert.has.match("%(Arbitrum%)", found.warning)
  end)

  it("trusts no address for another coin, on another network, or none at all", function()
    local answers, asked = {}, {}
    for _, made in ipairs{ '{"address":"T2","network":"ERC20"}',
      '{"address":"T2","currency":"BTC"}', '{"address":""}',
      '{"address":"<b>no address</b> yet"}', '{"id":"addr_1"}', '{"address":"T2\\u001b[2J"}' } do
      answers[#answers + 1], answers[#answers + 2] = servers.ok("[]"), servers.ok(made)
      asked[#asked + 1] = { currency = "USDT", network = "TRC20" }
    end
    server = servers.start{ ["/deposits/addresses"] = answers }
    local failed = { ask(asked, { env = { PROXYLUA_BASE_URL = server.url } }) }
    assert.are.equal(6, #failed)
    for at = 1, 6 do assert.are.equal("protocol", failed[at].kind, at) end
    assert.has.match("on the network ERC20 instead of TRC20", failed[1].message)
    assert.has.match("for BTC instead of USDT", failed[2].message)
  end)
end)

describe("px.deposits.wait", function()
  -- Runs code in a sandbox of its own, which the code may pay to with pay(amount).
  local function wait(code)
    local result = program.run({ "--sandbox", "--limits", "off", "--spend", "100", "-" }, { stdin = [[
      local px = require "proxylua"
      local place = px.sandbox()
      local function admin(name, body)
        local answer = px.http.post(place.admin_url .. "/" .. name, { json = body, headers = { ["X-Sandbox-Key"] = place.key } })
        assert(answer.ok, answer.body)
      end
      local function pay(amount) admin("deposit", { amount = amount }) end
      local looks = {}
      local function look(balance, err) looks[#looks + 1] = tostring(balance or err.kind) end
      ]] .. code })
    assert.are.same({ 0, "" }, { result.code, result.err })
    return result.out
  end

  it("ends with the deposit", function()
    assert.are.equal("12.50\t1012.50\t1000.00 1012.50\n", wait[[
      local calls = 0
      local risen = px.deposits.wait{ interval = 0.01, timeout = "1m", look = function(balance)
        look(balance)
        if #looks == 1 then pay("12.50") end
      end }
      print(risen.rise, risen.balance, table.concat(looks, " "))]])
  end)

  it("takes no purchase for the end, and sees a deposit behind one", function()
    assert.are.equal("5.00\t1000.00 997.60 1002.60\n", wait[[
      local risen = px.deposits.wait{ interval = 0.01, look = function(balance)
        look(balance)
        if #looks == 1 then px.orders.create{ type = "isp", quantity = 1, country = "US", period = 30, key = "k" } end
        if #looks == 2 then pay("5") end
      end }
      print(risen.rise, table.concat(looks, " "))]])
  end)

  it("goes on where the line fails", function()
    assert.has.match("^1%.00\t1000%.00 %a+ 1001%.00\n$", wait[[
      local risen = px.deposits.wait{ interval = 0.01, look = function(balance, err)
        look(balance, err)
        if #looks == 1 then admin("settings", { faults = { "account.get:cut=before,count=3" } }) end
        if #looks == 2 then pay("1") end
      end }
      print(risen.rise, table.concat(looks, " "))]])
  end)

  it("ends at its time limit, and if waiting is useless", function()
    assert.has.match("^timeout\tthe balance has not risen in 0s; the address stays valid[^\n]*\nforbidden\n$", wait[[
      local _, err = px.try(px.deposits.wait, { interval = 0.01, timeout = 0.05 })
      print(err.kind, err.message)
      admin("settings", { account = "banned" })
      print(select(2, px.try(px.deposits.wait, { interval = 0.01, timeout = 5 })).kind)]])
  end)

  it("refuses what it does not know", function()
    assert.are.equal("usage usage usage usage usage ", wait[[
      for _, options in ipairs{ { interval = 0 }, { timeout = "soon" }, { look = 1 }, { form = 1 }, { from = "much" } } do
        io.write(select(2, px.try(px.deposits.wait, options)).kind, " ")
      end]])
  end)
end)

describe("proxylua deposit", function()
  local ADDRESS = "sandbox%-usdt%-%w+"

  it("prints the address alone into a pipe, and the warning on standard error", function()
    local out, err = run("deposit", "USDT", "TRC20")
    assert.has.match("^currency\tnetwork\taddress\nUSDT\tTRC20\t" .. ADDRESS .. "\n$", out)
    assert.are.equal(
      "proxylua: send USDT on TRC20 only: money sent on another network (ERC20) is lost\n", err)
    local record = core.json.decode((run("--json", "deposit", "USDT", "TRC20")))
    assert.are.equal(out:match(ADDRESS), record.address)
    assert.has.match("TRC20 only", record.warning)
  end)

  it("writes files", function()
    local path = sandbox.home .. "/out.png"
    local out, err = run("deposit", "BTC", "--png", path)
    assert.has.match("saved " .. path:gsub("%p", "%%%0"), err)
    assert.are.same(core.qr.rows(out:match("sandbox%-btc%-%w+")), codes.of_png(program.read(path),
      8))
  end)

  it("asks for the network", function()
    local result = sandbox:run{ "deposit", "usdt" }
    assert.are.equal(2, result.code)
    assert.has.match("ERC20, TRC20", result.err)
    assert.are.equal(2, sandbox:run{ "deposit", "BTC", "--every", "5s" }.code)
  end)

  describe("on a terminal", function()
    local terminal
    after_each(function() terminal:close() end)

    local function open(arguments, options)
      options = options or {}
      options.env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
        PROXYLUA_LIMITS = "off",
        LANG = options.lang or "C.UTF-8", NO_COLOR = options.no_color }
      terminal = terminals.open(arguments, options)
      return terminal:await("exit 0")
    end

    it("shows the code with the words beside it", function()
      local screen = open({ "deposit", "USDT", "TRC20" }, { width = 100, height = 40 })
      local address = screen:match(ADDRESS)
      local rows = core.qr.rows(address)
      assert.has.match("^USDT on TRC20\n" .. ADDRESS .. "\n", screen)
      assert.has.match("\n! send USDT on TRC20 only: ", screen)
      local seen = codes.of_text(screen, #rows)
      -- Empty lines above and below are no code to the reader of the screen.
      local dark = table.concat(rows, "\n"):match("^[0\n]*(.-)[0\n]*$")
      assert.are.equal(dark, table.concat(seen, "\n"):match("^[0\n]*(.-)[0\n]*$"))
      assert.has.match("38;5;16", terminal:screen(true))
      assert.has.match("48;5;231", terminal:screen(true))
      if os.getenv("DEPOSIT_LONG") then
        local margin = ("0"):rep(#rows)
        for _ = 1, 4 do
          table.insert(seen, 1, margin)
          seen[#seen + 1] = margin
        end
        assert.are.equal(address .. "\n",
          codes.read{ program.write(sandbox.home .. "/seen.pbm", codes.picture(seen)) })
      end
    end)

    it("shows the address alone where a code would not be read", function()
      for _, case in ipairs{
        { "too small", { width = 32, height = 40 } }, { "too small", { width = 100, height = 22 } },
        { "UTF%-8", { lang = "C" } }, { "colours", { no_color = "1" } },
      } do
        local screen = open({ "deposit", "BTC" }, case[2])
        assert.has.match("sandbox%-btc%-%w+", screen)
        assert.is_nil(screen:find("█", 1, true))
        assert.has.match(case[1], (screen:gsub("\n", " ")))
        terminal:close()
      end
      open({ "deposit", "BTC" })
    end)

    it("shows how the wait goes, and says at Ctrl-C that the address stays", function()
      local env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
        PROXYLUA_LIMITS = "off" }
      terminal = terminals.open({ "deposit", "BTC", "--wait-for", "2h", "--every", "0.1s" },
        { env = env })
      terminal:await("the balance is 1000.00 at")
      assert.has.match("1h 59m left", terminal:await("1h 59m left"))
      terminal:press("C-c")
      local screen = terminal:await("exit 130")
      assert.has.match("the address stays valid, and a later deposit still counts", screen)
      assert.is_nil(screen:find("waiting for", 1, true))
    end)
  end)

  it("waits until the money is there", function()
    local env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_LIMITS = "off" }
    local group = children.start(1, sandbox.home, { "deposit", "BTC", "--wait", "--every",
      "0.05s" }, env)
    while not group:await(1, "out"):find("sandbox-btc-", 1, true) do core.task.sleep(0.01) end
    sandbox:change("deposit", { amount = "7.25" })
    local result = group:join()[1]
    assert.are.equal(0, result.code, result.err)
    assert.has.match("the balance rose by 7%.25 to 1007%.25", result.err)
  end)

  it("ends with code 4 when nothing comes", function()
    local result = sandbox:run{ "deposit", "BTC", "--wait-for", "0.05s", "--every", "0.01s" }
    assert.are.equal(4, result.code)
    assert.has.match("the address stays valid", result.err)
  end)
end)
