-- lua/proxylua/fleet/planner.lua: what is to be done, decided without asking anybody; and kept.lua:
-- what moved since.

local core = require "proxylua.core"
local file = require "proxylua.fleet.pools_file"
local kept = require "proxylua.fleet.plan_file"
local planner = require "proxylua.fleet.planner"
local program = require "spec.support.program"
local px = require "proxylua"
local ownership = require "proxylua.fleet.ownership"

local NOW, DAY = 1800000000, 86400

local function at(seconds)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", NOW + seconds)
end

local function pools_of(...)
  return file.check({ ... }, "fleet.lua")
end

local function us(more)
  local pool = { name = "us", type = "isp", country = "US", quantity = 5, period = 30 }
  for name, value in pairs(more or {}) do pool[name] = value end
  return pool
end

-- An order of a pool that ends in some days.
local function order(id, quantity, days, more)
  local out = { id = id, pool = "us", type = "isp", country = "US", quantity = quantity }
  if days then out.expires = NOW + math.floor(days * DAY) end
  out.expires_at = days and at(out.expires - NOW)
  for name, value in pairs(more or {}) do out[name] = value end
  return out
end

local function world_of(orders, more)
  local world = { now = NOW, account = "a", balance = core.money(100), orders = orders, next = {},
    blocked = {},
    unassigned = {}, others = {}, without_id = {}, running = {}, failed = {} }
  for name, value in pairs(more or {}) do world[name] = value end
  return world
end

-- Two a unit and thirty days, for each type.
local function price_of(action)
  return core.money(2) * action.quantity * (action.period or 30) / 30
end

local function plan_of(pools, world)
  return planner.price(planner.decide(pools, world), price_of)
end

-- "buy 2", "extend o1"
local function words(plan)
  local list = {}
  for index, action in ipairs(planner.actions(plan)) do
    list[index] = action.action .. " " .. (action.order or action.quantity)
  end
  return list
end

local function notes_match(part, pattern)
  assert.matches(pattern, table.concat(part.notes, "\n"), 1, true)
end

describe("a plan", function()
  it("buys what is missing, in orders of at most a batch", function()
    local plan = plan_of(pools_of(us{ batch = 2 }), world_of{})
    assert.same({ "buy 2", "buy 2", "buy 1" }, words(plan))
    assert.equal("10.00 0.00 90.00", ("%s %s %s"):format(plan.total, plan.extend,
      plan.balance_after))
    assert.same({ "fleet/us/1", "fleet/us/2", "fleet/us/3" },
      { plan.pools[1].actions[1].key, plan.pools[1].actions[2].key, plan.pools[1].actions[3].key })
    assert.same({ "buy 5" }, words(plan_of(pools_of(us()), world_of{})))
    assert.equal("fleet/us/8",
      plan_of(pools_of(us()), world_of({}, { next = { us = 8 } })).pools[1].actions[1].key)
  end)

  it("extends what ends within renew_before, the nearest end first, and counts it", function()
    local plan = plan_of(pools_of(us{ renew_before = "3d" }),
      world_of{ order("o1", 2, 1), order("o2", 1, 3),
      order("o3", 1, 4), order("o4", 1) })
    assert.same({ "extend o1", "extend o2" }, words(plan))
    assert.equal(5, plan.pools[1].have)
    assert.equal(ownership.renew_key("o1", NOW + DAY), plan.pools[1].actions[1].key)
    assert.equal("6.00", tostring(plan.extend))
  end)

  it("extends before it buys, in all pools", function()
    local plan = plan_of(pools_of(us{ name = "de", country = "DE", quantity = 1 },
      us{ quantity = 4 }),
      world_of{ order("o1", 2, 1) })
    assert.same({ "extend o1", "buy 1", "buy 2" }, words(plan))
  end)

  it("has no actions if the pool is full", function()
    local plan = plan_of(pools_of(us()), world_of{ order("o1", 5, 10) })
    assert.same({}, words(plan))
    assert.is_false(planner.has_work(plan))
    assert.is_true(plan.balance_after == plan.balance)
  end)

  it("reports surplus orders and leaves them alone, also when they expire", function()
    local plan = plan_of(pools_of(us{ quantity = 3 }),
      world_of{ order("o1", 2, 1), order("o2", 4, 10) })
    assert.same({}, words(plan))
    assert.equal(3, plan.pools[1].surplus)
    notes_match(plan.pools[1], "order o1 is not needed and expires in 1d")
    notes_match(plan.pools[1], "3 more than wanted; they are left alone")
    assert.same({}, words(plan_of(pools_of(us{ quantity = 0 }), world_of{ order("o1", 2, 1) })))
  end)

  it("does not count orders that do not fit, and reports them", function()
    local plan = plan_of(pools_of(us()), world_of{ order("o1", 5, 10, { country = "DE" }),
      order("o2", 5, 10,
      { type = "mobile" }) })
    assert.same({ "buy 5" }, words(plan))
    notes_match(plan.pools[1], "order o1 is 5 isp in DE, which does not fit the pool")
  end)

  it("extends nothing that was extended, is past its end, has none, or is not to be extended",
    function()
    local renewed = order("o1", 5, 1, { is_extended = true })
    for _, one in ipairs{ renewed, order("o1", 5, -1), order("o1", 5),
      order("o1", 5, nil, { unseen = "is not shown" }) } do
      assert.same({}, words(plan_of(pools_of(us()), world_of{ one })))
    end
    assert.same({}, words(plan_of(pools_of(us{ renew_before = 0 }),
      world_of{ order("o1", 5, 0.01) })))
    notes_match(plan_of(pools_of(us()), world_of{ order("o1", 5, -1) }).pools[1], "expired 1d ago")
    notes_match(plan_of(pools_of(us()), world_of{ order("o1", 5) }).pools[1],
      "o1 has no expiry date and is not extended")
    assert.same({}, plan_of(pools_of(us{ renew_before = 0 }),
      world_of{ order("o1", 5) }).pools[1].notes)
    local pending = plan_of(pools_of(us()), world_of{ order("o1", 5, 10, { status = "pending" }) })
    assert.same({}, words(pending))
    notes_match(pending.pools[1], "order o1 has status pending; it counts")
    assert.same({}, plan_of(pools_of(us()),
      world_of{ order("o1", 5, 10, { status = "Active" }) }).pools[1].notes)
    local unseen = order("o1", 5, nil, { unseen = "is not shown" })
    notes_match(plan_of(pools_of(us()), world_of{ unseen }).pools[1],
      "order o1 is not shown; it counts")
  end)

  it("refuses a pool that is too dear, with figures, and no other", function()
    local function refused(more, orders)
      local plan = plan_of(pools_of(us(more), us{ name = "de", country = "DE", quantity = 1 }),
        world_of(orders or {}))
      assert.same({ "buy 1" }, words(plan))
      assert.is_true(planner.has_work(plan))
      assert.equal("2.00", tostring(plan.total))
      return plan.pools[1].refused
    end
    assert.equal("5 isp in US for 30 days cost 10.00, 2.00 each, above max_unit_price 1.99",
      refused{ max_unit_price = "1.99" })
    assert.equal("o1, 5 isp in US for 30 days cost 10.00, 2.00 each, above max_unit_price 1.99",
      refused({ max_unit_price = "1.99" }, { order("o1", 5, 1) }))
    assert.equal("the total of 10.00 is above max_total 9.99", refused({ max_total = "9.99" },
      { order("o1", 2, 1) }))
    for _, more in ipairs{ { max_unit_price = 2 }, { max_total = 10 } } do
      assert.is_nil(plan_of(pools_of(us(more)), world_of{}).pools[1].refused)
    end
  end)

  it("does nothing for a pool with a charge of unknown outcome", function()
    local plan = plan_of(pools_of(us()), world_of({ order("o1", 1, 1) },
      { blocked = { us = "why" } }))
    assert.same({}, words(plan))
    assert.same({ "why", true, 1 }, { plan.pools[1].refused, plan.pools[1].unknown,
      #plan.pools[1].keep })
  end)

  it("names orders that belong to no pool, and pools that are not in the file", function()
    local unassigned = { order("l1", 1, 9), order("l2", 1, 9, { type = "ipv6" }) }
    local plan = plan_of(pools_of(us()),
      world_of({}, { unassigned = unassigned, others = { old = 7 } }))
    notes_match(plan.pools[1],
      "active orders that would fit but belong to no pool: 1 (l1); assign one with proxylua "
        .. "fleet adopt us")
    local without_id = { { pool = "us", key = "fleet/us/1" }, { pool = "de", key = "fleet/de/1" } }
    local part = plan_of(pools_of(us()), world_of({}, { without_id = without_id })).pools[1]
    notes_match(part, "fleet/us/1 was placed without an order id")
    assert.equal(1, #part.notes)
    notes_match(plan, "pool old is not in the file; its orders (quantity: 7) are left alone")
  end)
end)

describe("a plan beside thousands of orders that belong to no pool", function()
  local COUNT <const> = 5000

  local function unassigned(count)
    local list = {}
    for index = 1, count do
      list[index] = order(("l%05d"):format(index), 1, 9, { created = NOW - DAY + index / 1000 })
    end
    return list
  end

  local function pools(count)
    local list = {}
    for index = 1, count do list[index] = us{ name = "p" .. index, country = nil, batch = 1 } end
    return pools_of(table.unpack(list))
  end

  local function plan_beside(count, wanted)
    return plan_of(wanted, world_of({}, { unassigned = unassigned(count) }))
  end

  it("names three of them in each pool, and has the size of its pools", function()
    local wanted = pools(300)
    local plan = plan_beside(COUNT, wanted)
    for _, part in ipairs(plan.pools) do
      assert.same({ COUNT, { "l00001", "l00002", "l00003" } },
        { part.unassigned.count, part.unassigned.orders })
    end
    notes_match(plan.pools[300], "5000 (l00001, l00002, l00003 and 4997 more)")
    local few = #core.json.encode(plan_beside(4, wanted))
    assert.is_true(#core.json.encode(plan) < few * 1.1)
  end)

  it("is saved and read back with thousands of pools", function()
    local path = program.folder() .. "/plan.json"
    local plan = plan_beside(COUNT, pools(3000))
    kept.save(plan, path)
    local read = kept.parse(file.text(path), path)
    assert.same({ 3000, plan.total }, { #read.pools, read.total })
    assert.is_true(#program.read(path) > 1 << 20)
  end)

  it("is not written when it is larger than what is read", function()
    local most, path = file.MAX_BYTES, program.folder() .. "/plan.json"
    finally(function() file.MAX_BYTES = most end)
    local plan = plan_beside(4, pools(10))
    kept.save(plan, path)
    local size = #program.read(path)
    file.MAX_BYTES = size
    kept.save(plan, path)
    file.text(path)
    file.MAX_BYTES = size - 1
    for _, run in ipairs{ function() kept.save(plan, path) end, function() file.text(path) end } do
      local _, err = px.try(run)
      assert.equal("config", err and err.kind)
    end
  end)

  it("is out of date when an order is new, but not when some have ended", function()
    local wanted = pools(2)
    local planned = plan_beside(COUNT, wanted)
    local function moved(change)
      local list = unassigned(COUNT)
      change(list)
      local fresh = plan_of(wanted, world_of({}, { unassigned = list }))
      return kept.moved(planned, fresh, {}, list)
    end
    local function come(list)
      table.insert(list, 1, order("new", 1, 5, { created = NOW + 100 }))
    end
    assert.same({}, moved(function() end))
    assert.same({}, moved(function(list) for _ = 1, 10 do table.remove(list) end end))
    local said = moved(come)
    assert.equal(2, #said)
    assert.matches("pool p1: order new is new, fits and belongs to no pool; assign it with "
      .. "proxylua fleet adopt p1 new", said[1], 1, true)
    assert.same(said, moved(function(list)
      for _ = 1, 10 do table.remove(list) end
      come(list)
    end))
    said = moved(function(list)
      for index = 1, 9 do list[#list + 1] = order("m" .. index, 1, 5, { created = NOW + index }) end
    end)
    assert.equal(8, #said)
    assert.matches("pool p1: 6 more new orders fit and belong to no pool", table.concat(said,
      "\n"), 1,
      true)
  end)
end)

-- --- what holds for all pools and worlds ---

local function random_pools()
  local pools = {}
  for index = 1, math.random(4) do
    local period = math.random(30)
    pools[index] = {
      name = "p" .. index, type = ({ "isp", "mobile" })[math.random(2)],
        country = ({ "US", "DE" })[math.random(3)],
      quantity = math.random(0, 12), period = period,
        renew_before = math.random(0, period * DAY - 1) .. "s",
      batch = math.random(2) == 1 and math.random(5) or nil,
    }
  end
  return pools_of(table.unpack(pools))
end

local function random_world(pools)
  local orders = {}
  for index = 1, math.random(0, 12) do
    local pool = pools[math.random(#pools)]
    orders[index] = order("o" .. index, math.random(4), math.random(-2, 40) + math.random(),
      { pool = pool.name, type = math.random(5) > 1 and pool.type or "ipv6",
      country = pool.country })
  end
  local world = world_of(orders)
  for _, pool in ipairs(pools) do world.next[pool.name] = math.random(5) end
  return world
end

local function by_end(a, b)
  local first, second = a.expires or math.huge, b.expires or math.huge
  return first < second or first == second and a.id < b.id
end

-- What an action makes of a world.
local function carry_out(world, action)
  if action.action == "buy" then
    world.next[action.pool] = world.next[action.pool] + 1
    table.insert(world.orders, order("new-" .. action.key, action.quantity, action.period,
      { pool = action.pool,
      type = action.type, country = action.country }))
  else
    for _, one in ipairs(world.orders) do
      if one.id == action.order then
        one.expires = one.expires + action.period * DAY
        one.expires_at = at(one.expires - NOW)
      end
    end
  end
  table.sort(world.orders, by_end)
end

local function keys(plan)
  local list = {}
  for index, action in ipairs(planner.actions(plan)) do
    list[index] = ("%s %s %d %s"):format(action.action, action.key, action.quantity, action.price)
  end
  return list
end

describe("any plan", function()
  local seed = tonumber(os.getenv("FLEET_SEED")) or os.time()
  local about = "FLEET_SEED=" .. seed

  it("that breaks off anywhere is followed by the plan of the rest, and at the end by none",
    function()
    math.randomseed(seed)
    for _ = 1, 300 do
      local pools = random_pools()
      local world = random_world(pools)
      table.sort(world.orders, by_end)
      local plan = plan_of(pools, world)
      local expected, seen, total = keys(plan), {}, core.money(0)
      for _, action in ipairs(planner.actions(plan)) do
        assert.is_nil(seen[action.key], about)
        seen[action.key], total = true, total + action.price
        assert.same(expected, keys(plan_of(pools, world)), about)
        carry_out(world, action)
        table.remove(expected, 1)
      end
      assert.is_true(total == plan.total, about)
      assert.is_false(planner.has_work(plan_of(pools, world)), about)
    end
  end)

  it("is up to date after saving and reading it, until orders change", function()
    math.randomseed(seed)
    for _ = 1, 100 do
      local pools = random_pools()
      local world, done = random_world(pools), {}
      table.sort(world.orders, by_end)
      local plan = kept.parse(core.json.encode(plan_of(pools, world)), "plan.json")
      for _, action in ipairs(planner.actions(plan)) do
        assert.same({}, kept.moved(plan, plan_of(pools, world), done, {}), about)
        carry_out(world, action)
        done[action.key] = action.order or "new-" .. action.key
      end
      assert.same({}, kept.moved(plan, plan_of(pools, world), done, {}), about)
      local pool = pools[math.random(#pools)]
      local more = { pool = pool.name, type = pool.type, country = pool.country }
      table.insert(world.orders, order("another", 1, 60, more))
      assert.is_true(#kept.moved(plan, plan_of(pools, world), done, {}) > 0, about)
    end
  end)
end)

describe("what has moved since a plan", function()
  local pools = pools_of(us{ batch = 3, renew_before = "3d" })

  local function moved(change, price)
    local function world() return world_of{ order("o1", 1, 1), order("o2", 1, 20) } end
    local plan, after = plan_of(pools, world()), world()
    change(after)
    return table.concat(kept.moved(plan, planner.price(planner.decide(pools, after),
      price or price_of), {}, after.unassigned), "\n")
  end

  it("lists new, ended and extended orders, changed prices and another account", function()
    assert.equal("", moved(function() end))
    assert.equal("", moved(function(world) world.balance = core.money(50) end))
    assert.equal("pool us: + buy 1 isp in US for 30 days is needed now\npool us: order o2 has "
      .. "ended, or is about to expire",
      moved(function(world) table.remove(world.orders) end))
    local said = moved(function(world) world.orders[3] = order("o3", 1, 9) end)
    assert.matches("pool us: order o3 is new", said, 1, true)
    said = moved(function(world) world.orders[1] = order("o1", 1, 31) end)
    assert.matches("pool us: ~ extend o1, 1 isp in US for 30 days is no longer needed", said, 1,
      true)
    assert.equal("pool us: + buy 3 isp in US for 30 days cost 6.00, now it costs 7.00",
      moved(function() end,
      function(action) return action.action == "buy" and core.money(7) or price_of(action) end))
    assert.equal("", moved(function(world)
      world.orders[2] = order("o2", 1, 20 + 600 / DAY) -- the same end, some minutes off
    end))
    assert.equal("the plan belongs to account a, but the key belongs to account b",
      moved(function(world)
      world.account = "b"
    end))
  end)

  it("cannot be read from a file that is not a plan", function()
    for _, text in ipairs{ "{", "{}", '{"version":1}', '{"version":2}',
      '{"version":2,"pools":[1],"total":1}',
      '{"version":2,"total":1,"pools":[{"pool":{"name":"a","type":"ipv6","quantity":1},'
        .. '"keep":[],"notes":[],"problems":[],"unassigned":{"count":0,"orders":[]},'
        .. '"actions":[{"action":"sell"}]}]}' } do
      local ok, err = pcall(kept.parse, text, "plan.json")
      assert.is_false(ok, text)
      assert.same({ "config", 1 }, { err.kind, (err.message:find("plan.json: ", 1, true)) })
    end
  end)
end)
