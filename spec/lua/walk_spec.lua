local core = require "proxylua.core"
local walk = require "proxylua.api.walk"

local called = { caller = "orders.each", endpoint = "orders.list", what = "orders" }

-- A list on a server. Options: `oldest` first; `cap`, the most records a page; `fixed`, always
-- that many; `only`, the limits that it takes; `say`, what it reports: total, has_more
-- or nothing; `change`, a function that is called before each page but the first.
local function new_server(count, options)
  local server = { ids = {}, next_id = count + 1, requests = 0, options = options }
  for at = 1, count do server.ids[at] = ("ord_%d"):format(at) end

  function server.remove(at) return table.remove(server.ids, at) end

  -- Where the list is sorted: its end or its beginning.
  function server.insert()
    local id = ("ord_%d"):format(server.next_id)
    server.next_id = server.next_id + 1
    table.insert(server.ids, options.oldest and #server.ids + 1 or 1, id)
  end

  function server.list(query)
    if options.change and server.requests > 0 then options.change(server) end
    server.requests = server.requests + 1
    if options.only and not options.only[query.limit] then
      core.error.raise{ kind = "invalid", message = "limit is 10 or 100" }
    end
    local size = options.fixed or math.min(query.limit, options.cap or query.limit)
    local from, page = (query.page - 1) * size, {}
    for at = from + 1, math.min(from + size, #server.ids) do
      page[#page + 1] = { id = server.ids[at] }
    end
    if options.say == "total" then
      page.total = #server.ids
      page.has_more = query.page * size < page.total
    elseif options.say == "has_more" then
      page.has_more = from + size < #server.ids
    else
      page.has_more = #page >= math.min(query.limit, 20)
    end
    return page
  end

  return server
end

-- The ids in the order of their return, and the problems.
local function read(server, params)
  local ids, problems = {}, {}
  local given = { on_problem = function(err) problems[#problems + 1] = err.message end }
  for name, value in pairs(params or {}) do given[name] = value end
  for record in walk.open(server.list, called, given) do ids[#ids + 1] = record.id end
  return ids, problems
end

local function set_of(list)
  local set = {}
  for _, id in ipairs(list) do
    assert.is_nil(set[id], "twice: " .. id)
    set[id] = true
  end
  return set
end

-- Changes the list before some of the pages, and notes what was there all the time.
local function changing(rng, options)
  local left, stays = rng(0, 6), nil
  function options.change(server)
    if not stays then
      stays = set_of(server.ids)
      options.stays = stays
    end
    if left == 0 or rng(3) == 1 then return end
    left = left - 1
    local removes, inserts = rng(0, 12), rng(0, 12)
    if options.one_kind then
      if rng(2) == 1 then removes = 0 else inserts = 0 end
    end
    for _ = 1, math.min(removes, #server.ids) do stays[server.remove(rng(#server.ids))] = nil end
    for _ = 1, inserts do server.insert() end
  end
end

-- Random numbers of a seed of their own.
local function random_of(seed)
  local state = (seed * 2654435761 ~ seed << 7) % 4294967296
  return function(low, high)
    if not high then low, high = 1, low end
    state = (state * 1103515245 + 12345) % 4294967296
    return low + (state >> 8) % (high - low + 1)
  end
end

local function random_options(rng)
  local options = { oldest = rng(2) == 1, say = ({ "total", "has_more" })[rng(3)] }
  -- Without a word of the server, a page of less than 20 is the last one.
  local kind, least = rng(4), options.say and 2 or 20
  if kind == 1 then options.cap = rng(least, 60) end
  if kind == 2 then options.fixed = rng(least, 60) end
  if kind == 3 then options.only = { [10] = true, [100] = true } end
  -- What leaves and what comes between the same two pages keeps the total. Pages of one size
  -- cannot show that.
  options.one_kind = options.fixed or options.only or (options.cap and options.cap < 12)
  return options
end

describe("a walk through pages", function()
  for seed = 1, 20 do
    it(("returns each record that stays exactly once, while others come and go (%d)"):format(seed),
    function()
      local loud = 0
      for part = 1, 25 do
        local rng = random_of(seed * 1000 + part)
        local options = random_options(rng)
        changing(rng, options)
        local server = new_server(rng(0, 400), options)
        local initial = set_of(server.ids)
        local ids, problems = read(server, { limit = ({ 100, 100, 10 })[rng(3)] })
        local seen = set_of(ids)
        if #problems > 0 then loud = loud + 1 end
        for id in pairs(options.stays or initial) do
          assert(seen[id] or #problems > 0, ("seed %d: %s is missing (%s)"):format(
            seed * 1000 + part, id, core.json.encode{ oldest = options.oldest, cap = options.cap,
              fixed = options.fixed, say = options.say, only = options.only and true }))
        end
      end
      assert.is_true(loud <= 8, ("%d of 25 walks failed"):format(loud))
    end)
  end

  it("reads a list that does not change without problems, in few requests", function()
    for _, count in ipairs{ 0, 1, 19, 20, 21, 99, 100, 101, 199, 250, 600, 2000 } do
      for _, options in ipairs{ { say = "total" }, { say = "has_more" }, {}, { cap = 50 },
        { cap = 25, say = "total" }, { fixed = 20, say = "total" }, { fixed = 20 }, { fixed = 100 },
        { only = { [10] = true, [100] = true } } } do
        local server = new_server(count, options)
        local ids, problems = read(server)
        assert.are.same({}, problems)
        assert.are.same(server.ids, ids)
        local size = options.fixed or options.cap or 100
        local passes = (options.fixed or options.only) and options.say ~= "total" and 2 or 1
        local most = passes * (count / size * 1.4 + 3)
        assert.is_true(server.requests <= most, ("%d requests for %d records"):format(
          server.requests, count))
      end
    end
  end)

  it("reads 100,000 records in 1.2 times the fewest requests, and in little memory", function()
    local server = new_server(100000, { say = "total" })
    collectgarbage()
    local before, most, count = collectgarbage("count"), 0, 0
    for record in walk.open(server.list, called) do
      count = count + 1
      assert(record.id == server.ids[count])
      if count % 10000 == 0 then
        collectgarbage()
        most = math.max(most, collectgarbage("count") - before)
      end
    end
    assert.are.equal(100000, count)
    assert.is_true(server.requests <= 1200, tostring(server.requests))
    assert.is_true(most < 5000, most .. " KB")
  end)

  it("goes on where a total is too small, and fails where it stays wrong", function()
    for _, wrong in ipairs{ 150, 42, 1, 900 } do
      local server = new_server(250, { say = "total" })
      local list = server.list
      server.list = function(query)
        local page = list(query)
        page.total, page.has_more = wrong, query.page * query.limit < wrong
        return page
      end
      local ids, problems = read(server)
      assert.are.same(server.ids, ids)
      assert.are.equal(1, #problems)
      assert.matches(("the API reports %d orders, but its pages have 250"):format(wrong),
        problems[1], 1, true)
      local ok, err = pcall(function() for _ in walk.open(server.list, called) do end end)
      assert.is_false(ok)
      assert.are.same({ "protocol", "orders.list" }, { err.kind, err.endpoint })
    end
  end)

  it("reports 3 differing readings of a list without totals", function()
    local server = new_server(200, { fixed = 20, change = function(server)
      server.remove(1)
      server.insert()
    end })
    local _, problems = read(server)
    assert.are.equal(1, #problems)
    assert.matches("3 readings of the list differ", problems[1], 1, true)
  end)

  it("begins at the page that it is given", function()
    for _, options in ipairs{ { say = "total" }, {}, { fixed = 20, say = "total" },
      { cap = 30, say = "total" } } do
      local server = new_server(150, options)
      local ids, problems = read(server, { page = 3, limit = 20 })
      assert.are.same({}, problems)
      assert.are.same({ table.unpack(server.ids, 41) }, ids)
    end
  end)

  it("names what cannot be used by its place, once, and returns all else", function()
    local list = function(query)
      local page = { total = 150, has_more = query.page * query.limit < 150 }
      for at = (query.page - 1) * query.limit + 1, math.min(query.page * query.limit, 150) do
        page[#page + 1] = at == 120 and { unreadable = "id is empty", at = at }
          or { id = tostring(at) }
      end
      return page
    end
    local ids, problems = read{ list = list }
    assert.are.equal(149, #ids)
    assert.are.same({ "page 2, record 21 cannot be used: id is empty" }, problems)
    local next_record, count = walk.open(list, called), 0
    local ok, err = pcall(function() for _ in next_record do count = count + 1 end end)
    assert.is_false(ok)
    assert.are.same({ 149, "protocol" }, { count, err.kind })
    assert.is_nil(next_record())
  end)
end)

describe("a walk through records without ids", function()
  -- A list of amounts; `repeats`: every page is the first one.
  local function server_of(amounts, say, repeats)
    local server = { requests = 0 }
    function server.list(query)
      server.requests = server.requests + 1
      local page, number = {}, repeats and 1 or query.page
      for at = (number - 1) * query.limit + 1, math.min(number * query.limit, #amounts) do
        page[#page + 1] = { type = "charge", amount = amounts[at] }
      end
      page.has_more = repeats or number * query.limit < #amounts
      if say then page.total = #amounts end
      return page
    end
    return server
  end

  local function sum_of(server)
    local sum, problems = 0, {}
    for record in walk.open(server.list, called, { on_problem = function(err)
      problems[#problems + 1] = err.message
    end }) do
      sum = sum + record.amount
    end
    return sum, problems
  end

  it("returns identical records as often as the list holds them", function()
    math.randomseed(20261129)
    for _, say in ipairs{ false, true } do
      for _, count in ipairs{ 1, 99, 100, 101, 200, 250, 1000 } do
        local same, few, sum = {}, {}, 0
        for at = 1, count do
          same[at], few[at] = 1, math.random(2)
          sum = sum + few[at]
        end
        assert.are.same({ count, {} }, { sum_of(server_of(same, say)) })
        assert.are.same({ sum, {} }, { sum_of(server_of(few, say)) })
      end
    end
  end)

  it("counts the page of a server that does not know pages once", function()
    local amounts = {}
    for at = 1, 100 do amounts[at] = at % 2 end
    local server = server_of(amounts, false, true)
    assert.are.same({ 50, {} }, { sum_of(server) })
    assert.is_true(server.requests <= 5)
  end)

  it("sees those that come in front meanwhile, and counts none twice", function()
    local amounts = {}
    for at = 1, 250 do amounts[at] = 1 end
    local server = server_of(amounts, true)
    local list = server.list
    server.list = function(query)
      if server.requests == 1 then table.insert(amounts, 1, 1) end
      return list(query)
    end
    assert.are.same({ 251, {} }, { sum_of(server) })
  end)
end)
