-- lua/proxylua/fleet/ends.lua: the newest end of an order, of what the API shows and what the
-- journal knows of its extensions.

local ends = require "proxylua.fleet.ends"

local NOW, DAY <const>, HOUR <const> = 1800000000, 86400, 3600

-- An extension by 30 days that was placed now, of an order that ended in a day.
local function extension(more)
  local one = { key = "k", at = NOW, period = 30 }
  for name, value in pairs(more or {}) do one[name] = value end
  return one
end

local OLD <const>, NEW <const> = NOW + DAY, NOW + 31 * DAY

describe("the newest end of an order", function()
  it("is what the API shows where the journal has no extension", function()
    assert.same({ OLD }, { ends.newest(OLD) })
    assert.same({ OLD }, { ends.newest(OLD, {}) })
  end)

  -- What the journal may know of one extension.
  local kinds = {
    ["both ends"] = extension{ before = OLD, after = NEW },
    ["the end after it"] = extension{ after = NEW },
    ["the end before it"] = extension{ before = OLD },
    ["neither end"] = extension(),
    ["a response with the old end"] = extension{ after = OLD },
    ["a response with the old end, and the end before"] = extension{ before = OLD, after = OLD },
  }

  for name, one in pairs(kinds) do
    for _, drift in ipairs{ -600, -1, 0, 0.4, 1, 600 } do
      it(("is moved by an extension with %s, shown %g s apart"):format(name, drift), function()
        local newest, unseen = ends.newest(OLD + drift, { one })
        assert.is_true(math.abs(newest - NEW) <= math.abs(drift) + 1e-3, newest - NEW)
        assert.equal(one, unseen)
        newest, unseen = ends.newest(NEW + drift, { one })
        assert.same({ NEW + drift }, { newest, unseen })
      end)
    end
  end

  it("is moved by each of several extensions, also of other periods", function()
    local first = extension{ before = OLD, after = NEW }
    local second = extension{ key = "l", at = NOW + HOUR, period = 1, after = NEW + DAY }
    assert.same({ NEW + DAY, second }, { ends.newest(OLD, { first, second }) })
    assert.same({ NEW + DAY, second }, { ends.newest(NEW, { first, second }) })
    assert.same({ NEW + DAY + 1 }, { ends.newest(NEW + DAY + 1, { first, second }) })
  end)

  it("is later than all that is recorded where the API shows it so", function()
    assert.same({ NEW + 90 * DAY }, { ends.newest(NEW + 90 * DAY, { kinds["both ends"] }) })
  end)

  it("is not moved by an extension that the shown end has room for", function()
    assert.same({ NEW }, { ends.newest(NEW, { extension{ at = NOW - 29 * DAY } }) })
  end)
end)
