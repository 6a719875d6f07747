-- src/bind/repl/question.c: the question before a charge that nothing else allows, at a real
-- terminal.

local crash = require "spec.support.crash"
local program = require "spec.support.program"
local sandbox = require "spec.support.sandbox"
local stores = require "spec.support.stores"
local terminal = require "spec.support.terminal"

local ORDER = { "orders", "create", "--type", "isp", "--quantity", "2", "--country", "US" }

describe("a charge that nothing allows", function()
  local world, at
  before_each(function() world = sandbox.start() end)
  after_each(function()
    if at then at:close() end
    world:stop()
  end)

  local function open(arguments, store)
    at = terminal.open(arguments,
      { env = { PROXYLUA_BASE_URL = world.url, PROXYLUA_API_KEY = world.key,
      PROXYLUA_LIMITS = "off", PROXYLUA_STORE = store } })
  end

  local function sold()
    return world:look("counters").sold
  end

  it("is asked about at a terminal, with the quote and the balance before and after; yes buys",
    function()
    open(ORDER)
    at:await("costs 4.80; balance 1000.00, afterwards 995.20")
    at:await("Go ahead? [y/N]")
    assert.equal(0, sold())
    at:type("y")
    at:press("Enter")
    at:await("ord_")
    assert.equal(1, sold())
  end)

  for _, answer in ipairs{ "", "n", "what", "C-d", "C-c" } do
    it(("is not made when the answer is '%s'"):format(answer), function()
      open(ORDER)
      at:await("Go ahead? [y/N]")
      if answer:find("^C%-") then at:press(answer) else at:type(answer) end
      if not answer:find("^C%-") then at:press("Enter") end
      at:await(answer == "C-c" and "exit 130" or "nothing was bought")
      assert.equal(0, sold())
    end)
  end

  for _, place in ipairs(stores.all) do
    describe("and whose key an ended process has left open, with its store in " .. place.name,
      function()
        setup(place.start)
        teardown(place.stop)

        it("is asked about without the lock of the account", function()
          local store, script = place.fresh(), "px.orders.create{ type = 'isp', quantity = 2, "
            .. "country = 'US', key = 'left' }"
          program.run({ "-e", script }, { program = crash.path, env = {
            PROXYLUA_BASE_URL = world.url, PROXYLUA_API_KEY = world.key, PROXYLUA_LIMITS = "off",
            PROXYLUA_STORE = store, PROXYLUA_SPEND = "9", PROXYLUA_CRASH = "intent" } })
          open({ "-e", script .. " print 'bought'" }, store)
          at:await("Go ahead? [y/N]")
          assert.equal(0, crash.start(world, store, { type = "isp", quantity = 1, country = "US",
            key = "other" }):join().code)
          at:type("y")
          at:press("Enter")
          at:await("bought")
          assert.equal(2, sold())
        end)
      end)
  end

  describe("of a plan", function()
    local file
    before_each(function()
      file = os.tmpname()
      program.write(file, [[return { { name = "us", type = "isp", country = "US", quantity = 4,
        period = 30, batch = 2 } }]])
    end)
    after_each(function() os.remove(file) end)

    it("is asked about once, with the total and the balance before and after", function()
      open{ "fleet", "apply", file }
      local screen = at:await("(balance 1000.00 -> 990.40)? [y/N]")
      assert.matches("\nBuy 2 orders: 9.60 %(balance 1000.00 %-> 990.40%)%? %[y/N%]$", screen)
      assert.equal(0, sold())
      at:type("y")
      at:press("Enter")
      at:await("2 of 2 done")
      assert.equal(2, sold())
    end)

    it("is asked about for a renewal too", function()
      assert.equal(0, world:run{ "orders", "create", "--type", "isp", "--quantity", "2",
        "--period", "2", "--country", "US" }.code)
      open{ "renew", "--within", "3d", "--period", "7" }
      at:await("Extend order ord_")
      at:type("y")
      at:press("Enter")
      at:await("1 of 1 done")
    end)

    for _, reply in ipairs{ "n", "", "C-c" } do
      it(("is not made when the reply is '%s'"):format(reply), function()
        open{ "fleet", "apply", file }
        at:await("? [y/N]")
        if reply == "C-c" then at:press(reply) else at:type(reply) at:press("Enter") end
        at:await(reply == "C-c" and "exit 130" or "not confirmed; nothing was bought")
        assert.equal(0, sold())
      end)
    end

    it("allows no more than the total that was shown", function()
      open{ "-e", [[
        local core = require "proxylua.core"
        core.api.confirm("Buy", core.money(5))
        for n = 1, 2 do px.orders.create{ type = "isp", quantity = 2, key = "n" .. n } end]] }
      at:await("Buy: 5.00? [y/N]")
      at:type("y")
      at:press("Enter")
      at:await("the limit per_run is 5.00, of which 4.80 is spent")
      at:await("exit 6")
      assert.equal(1, sold())
    end)

    it("is not asked about with --yes, which allows nothing itself", function()
      open{ "fleet", "apply", file, "--yes" }
      local screen = at:await("exit 6")
      assert.is_nil(screen:find("[y/N]", 1, true))
      assert.matches("Use %-%-spend 9.60 to allow it", screen)
      at:close()
      open{ "--spend", "9.60", "fleet", "apply", file, "--yes" }
      at:await("2 of 2 done")
      assert.equal(2, sold())
    end)
  end)

  it("is asked about at the prompt, while a line is edited", function()
    open{}
    at:prompt()
    at:run("px.spawn(function() px.sleep(0.2) print(px.orders.create{ type = 'isp', quantity = 1 "
      .. "}.id) end)")
    at:type("half a li")
    at:await("Go ahead? [y/N]")
    at:type("y")
    at:press("Enter")
    at:await("ord_")
    at:type("ne")
    at:await("> half a line")
    assert.equal(1, sold())
  end)
end)
