-- src/bind/repl/question.c: the question before a charge that nothing else allows, at a real
-- terminal.

local program = require "spec.support.program"
local sandbox = require "spec.support.sandbox"
local terminal = require "spec.support.terminal"

local ORDER = { "orders", "create", "--type", "isp", "--quantity", "2", "--country", "US" }

describe("a charge that nothing allows", function()
  local world, at
  before_each(function() world = sandbox.start() end)
  after_each(function()
    if at then at:close() end
    world:stop()
  end)

  local function open(arguments)
    at = terminal.open(arguments,
      { env = { PROXYLUA_BASE_URL = world.url, PROXYLUA_API_KEY = world.key,
      PROXYLUA_LIMITS = "off" } })
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

  it("is asked about on a line of its own, whatever was shown before", function()
    local file = os.tmpname()
    program.write(file,
      [[return { { name = "us", type = "isp", quantity = 4, period = 30, batch = 2 } }]])
    open{ "fleet", "apply", file }
    for _, left in ipairs{ "995.20", "990.40" } do
      local screen = at:await("afterwards " .. left .. "\nGo ahead? [y/N]")
      assert.matches("\nproxylua: POST /orders [^\n]+\n  costs 4.80; balance %S+ afterwards "
        .. left, screen)
      at:type("y")
      at:press("Enter")
    end
    at:await("2 of 2 done")
    assert.equal(2, sold())
    os.remove(file)
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
    at:await("px> half a line")
    assert.equal(1, sold())
  end)
end)
