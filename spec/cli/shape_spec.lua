-- lua/proxylua/cli/shape.lua: the columns of a list, its order, and how much of it is fetched.

local core = require "proxylua.core"
local sandboxes = require "spec.support.sandbox"
local shapes = require "proxylua.cli.shape"

local function list_of(options, records)
  local args = {}
  for name, value in pairs(options) do args["shape " .. name] = value end
  return shapes.list(shapes.of(args), nil, records)
end

describe("a list", function()
  it("is sorted by numbers, money or texts, and what has no value comes last", function()
    for round = 1, 200 do
      local records = { { at = 1, value = ({ 7, core.money(7), "07" })[round % 3 + 1] } }
      for at = 2, math.random(1, 12) do
        local number = math.random(1, 30)
        local value = ({ number, core.money(number), ("%02d"):format(number) })[round % 3 + 1]
        records[at] = { at = at, value = math.random(5) > 1 and value or nil }
      end
      for _, sign in ipairs{ "", "-" } do
        local found = list_of({ sort = sign .. "value" }, records)
        assert.equal(#records, #found)
        for at = 2, #found do
          local before, this = found[at - 1].value, found[at].value
          assert.is_true(this == nil or before ~= nil)
          if this ~= nil and before ~= this then
            assert.equal(sign == "", before < this)
          elseif before == this then
            assert.is_true(found[at - 1].at < found[at].at) -- equal ones keep their order
          end
        end
      end
    end
  end)

  it("has the columns that were asked for, and refuses unknown ones", function()
    local records = { { id = "a", price = 1, more = "x" }, { id = "b", price = 2 } }
    assert.are.same({ { id = "a", more = "x" }, { id = "b" } },
      list_of({ columns = "id, more" }, records))
    assert.are.same({ { id = "a", price = 1, more = "x" } }, list_of({ first = "1" }, records))
    for options, text in pairs{
      [{ columns = "pric" }] = "--columns: there is no column pric, did you mean price?",
      [{ sort = "-zone" }] = "--sort: there is no column zone; there are id, more, price",
      [{ first = "0" }] = "--first takes a whole number of at least 1, got 0",
      [{ columns = "," }] = "--columns takes names, such as id,country",
    } do
      local ok, err = pcall(list_of, options, records)
      assert.is_false(ok)
      assert.equal(text, err.message)
    end
  end)
end)

describe("proxylua orders list", function()
  local sandbox

  setup(function()
    sandbox = sandboxes.start()
    sandbox:eval[[
      for at = 1, 120 do
        px.orders.create{ type = "datacenter", country = "US", quantity = at % 7 + 1, period = 1 }
      end
    ]]
  end)
  teardown(function() sandbox:stop() end)

  local function run(...)
    local result = sandbox:run{ "orders", "list", ... }
    assert.equal(0, result.code, result.err)
    return result.out
  end

  local function pages()
    return sandbox:look("counters").requests["orders.list"] or 0
  end

  it("fetches no more pages than it shows", function()
    local before = pages()
    local _, lines = run("--all", "--first", "5", "--columns", "id"):gsub("[^\n]+", "")
    assert.equal(6, lines)
    assert.equal(1, pages() - before)
  end)

  it("sorts all pages, the largest first", function()
    local text = run("--all", "--sort", "-quantity", "--columns", "quantity", "--first", "20")
    assert.equal("quantity\n" .. ("7\n"):rep(17) .. ("6\n"):rep(3), text)
  end)
end)
