local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"

local sandbox, server

-- Runs code against a server that returns these bodies for /orders, one after the other, and the
-- last for ever.
local function eval_with(bodies, code)
  local answers = {}
  for index, body in ipairs(bodies) do
    answers[index] = servers.ok(body, "Content-Type: application/json\r\n")
  end
  server = servers.start{ ["/orders"] = answers, ["/account/transactions"] = answers }
  return sandbox:eval(code, { env = { PROXYLUA_BASE_URL = server.url } })
end

-- The query of each request that the server saw.
local function queries()
  local list = {}
  for index, request in ipairs(server:requests()) do list[index] = request:match("%?(%S*)") end
  return list
end

-- Another account: a store does not take one for another that begins anew.
local function begin_anew(dialect)
  sandbox:stop()
  sandbox = sandboxes.start{ balance = "100000", dialect = dialect }
end

local collect = [[
  local ids = px.json.array{}
  for order in px.orders.each() do ids[#ids + 1] = order.id or order.type end
  return ids
]]

describe("iterators over pages", function()
  setup(function() sandbox = sandboxes.start{ balance = "100000" } end)
  teardown(function() sandbox:stop() end)
  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  for _, dialect in ipairs{ "envelope", "bare", "snake" } do
    it("bring every record once, in the dialect " .. dialect, function()
      begin_anew(dialect)
      local placed, seen, entries = sandbox:eval[[
        local placed, seen, entries = {}, {}, {}
        for index = 1, 23 do
          placed[index] = px.orders.create{ type = "datacenter", quantity = 1, period = 1 }.id
        end
        for order in px.orders.each{ status = "active", limit = 5 } do table.insert(seen, 1, order.id) end
        for entry in px.account.each_transaction{ limit = 7 } do
          if entry.order_id then table.insert(entries, 1, entry.order_id) end
        end
        return placed, seen, entries
      ]]
      assert.are.equal(23, #placed)
      assert.are.same(placed, seen)
      assert.are.same(placed, entries)
    end)
  end

  it("bring every record once while others are added in front", function()
    begin_anew()
    local placed, seen = sandbox:eval[[
      local placed, seen = {}, {}
      local function place() return px.orders.create{ type = "datacenter", quantity = 1, period = 1 }.id end
      for index = 1, 9 do placed[index] = place() end
      local was_placed = {}
      for _, id in ipairs(placed) do was_placed[id] = true end
      local count = 0
      for order in px.orders.each{ limit = 2 } do
        if was_placed[order.id] then table.insert(seen, 1, order.id) end
        count = count + 1
        if count <= 3 then place() end
      end
      return placed, seen
    ]]
    assert.are.same(placed, seen)
  end)

  for _, dialect in ipairs{ "envelope", "bare" } do
    it("miss no order when others leave the list between two pages, in the dialect " .. dialect,
    function()
      begin_anew(dialect)
      local placed, seen, left = sandbox:eval(([[
        local placed, seen, left = {}, {}, {}
        for index = 1, 25 do
          placed[index] = px.orders.create{ type = "datacenter", quantity = 1, period = 1 }.id
        end
        for order in px.orders.each{ status = "active", limit = 10 } do
          table.insert(seen, 1, order.id)
          if #seen == 10 then
            for index = 1, 5 do
              local response = px.http.post("%s/cancel", { json = { id = seen[index] },
                headers = { ["X-Sandbox-Key"] = "%s" } })
              assert(response.ok, response.body)
              left[index] = seen[index]
            end
          end
        end
        return placed, seen, left
      ]]):format(sandbox.admin_url, sandbox.key))
      assert.are.equal(5, #left)
      table.sort(placed)
      table.sort(seen)
      assert.are.same(placed, seen)
    end)
  end

  it("ask for no page before it is needed, and for none after they are left", function()
    begin_anew()
    sandbox:eval[[
      for _ = 1, 6 do px.orders.create{ type = "datacenter", quantity = 1, period = 1 } end
    ]]
    sandbox:change("reset", { only = "counters" })
    sandbox:eval[[
      local next_order = px.orders.each{ limit = 2 }
      next_order()
      for order in px.orders.each{ limit = 2 } do
        if order then break end
      end
      px.orders.each()
    ]]
    assert.are.equal(2, sandbox:look("counters").requests["orders.list"])
  end)

  it("leave the caller's table as it is, and begin where it says", function()
    local seen, page = eval_with({ '{"orders":[{"id":"a"}],"page":4,"limit":1,"total":4}' }, [[
      local params, seen = { page = 4, limit = 1, status = "active" }, {}
      for order in px.orders.each(params) do seen[#seen + 1] = order.id end
      return seen, params.page
    ]])
    assert.are.same({ "a" }, seen)
    assert.are.equal(4, page)
    assert.has.match("page=4", queries()[1])
    assert.has.match("status=active", queries()[1])
  end)

  it("end where the server says so, without one more request", function()
    assert.are.same({ "a", "b" }, eval_with({
      '{"success":true,"data":[{"id":"a"}],"meta":{"page":1,"perPage":1,"total":2,"totalPages":2}}',
      '{"success":true,"data":[{"id":"b"}],"meta":{"page":2,"perPage":1,"total":2,"totalPages":2}}',
    }, collect))
    assert.are.equal(2, #queries())
    assert.has.match("page=1", queries()[1])
    assert.has.match("limit=100", queries()[1])
    assert.has.match("page=2", queries()[2])
  end)

  it("end at an empty page", function()
    assert.are.same({ "a", "b" }, eval_with({
      '{"orders":[{"id":"a"},{"id":"b"}],"has_more":true,"total":2}',
    }, collect))
    assert.are.equal(1, #queries())
    server:stop()
    -- Without a total the second reading shows that the first one was whole.
    local page, empty = '{"orders":[{"id":"a"},{"id":"b"}],"has_more":true}',
      '{"orders":[],"has_more":true}'
    assert.are.same({ "a", "b" }, eval_with({ page, empty, page, empty }, collect))
    assert.are.equal(4, #queries())
    server:stop()
    assert.are.same({}, eval_with({ '[]' }, collect))
  end)

  it("end at a page without new records, for any total of the server", function()
    assert.are.same({ "a", "b" },
      eval_with({ '{"orders":[{"id":"a"},{"id":"b"}],"has_more":true}' }, collect))
    assert.are.equal(4, #queries())
    server:stop()
    assert.are.same({ "charge", "refund" }, eval_with({
      '{"transactions":[{"type":"charge","amount":"1.00"},{"type":"refund"}],"has_more":true}',
    }, [[
      local types = px.json.array{}
      for entry in px.account.each_transaction() do types[#types + 1] = entry.type end
      return types
    ]]))
    server:stop()
  end)

  it("fail when the server reports more records than its pages contain", function()
    local ok, why = pcall(eval_with, { '{"orders":[{"id":"a"}],"total":1000,"has_more":true}' },
      collect)
    assert.is_false(ok)
    assert.matches("the API reports 1000 orders, but its pages have 1;", why, 1, true)
    assert.are.equal(15, #queries())
  end)

  it("keep records without an id that look the same", function()
    assert.are.equal(3, eval_with({
      '{"transactions":[{"type":"charge","amount":"1.00"},{"type":"charge","amount":"1.00"}],'
        .. '"has_more":true}',
      '{"transactions":[{"type":"charge","amount":"1.00"}],"has_more":false}',
    }, [[
      local sum = px.money(0)
      for entry in px.account.each_transaction() do sum = sum + entry.amount end
      return sum:tonumber()
    ]]))
  end)

  it("raise what a page raises, and go on there when they are called again", function()
    local kind, rest = eval_with({
      '{"orders":[{"id":"a"}],"has_more":true}', "no JSON",
        '{"orders":[{"id":"b"}],"has_more":false}',
    }, [[
      local each = px.orders.each()
      each()
      local _, err = px.try(each)
      return err.kind, each().id
    ]])
    assert.are.equal("protocol", kind)
    assert.are.equal("b", rest)
    assert.are.equal(queries()[2], queries()[3])
  end)

  it("are shared out by px.map, and refuse two tasks at once", function()
    local ids, kind, message = eval_with({
      '{"orders":[{"id":"a"},{"id":"b"}],"has_more":true}',
        '{"orders":[{"id":"c"}],"has_more":false}',
    }, [[
      local ids = px.map(px.orders.each(), function(order)
        px.sleep(0)
        return order.id
      end)
      local each = px.orders.each()
      local task = px.spawn(each)
      px.sleep(0)
      local _, err = px.try(each)
      task:join()
      return ids, err.kind, err.message
    ]])
    assert.are.same({ "a", "b", "c" }, ids)
    assert.are.equal("usage", kind)
    assert.has.match("two tasks called one iterator", message)
  end)

  it("raise what cannot be used behind the last record, or report it", function()
    local bodies = { '{"orders":[{"id":"a"},{"id":"\\ud800"},{"id":"b"},{"status":"active"}]}' }
    local ids, kind, message, reported = eval_with(bodies, [[
      local ids, reported = {}, {}
      local ok, err = pcall(function()
        for order in px.orders.each() do ids[#ids + 1] = order.id end
      end)
      local function note(err) reported[#reported + 1] = err.message end
      for _ in px.orders.each{ on_problem = note } do end
      return ids, err.kind, err.message, reported
    ]])
    assert.are.same({ "a", "b" }, ids)
    assert.are.equal("protocol", kind)
    assert.are.same({ "page 1, record 2 cannot be used: id is not valid Unicode text",
      "page 1, record 4 cannot be used: id is missing" }, reported)
    assert.are.equal(table.concat(reported, "; "), message)
  end)

  it("refuse a value that is not a table, and unknown parameters, before a request", function()
    local messages = eval_with({ "[]" }, [[
      return { select(2, pcall(px.orders.each, "active")).message, select(2, pcall(px.orders.each, { stauts = "x" })).message }
    ]])
    assert.has.match(
      "px.orders.each takes its options as a table, got a string", messages[1])
    assert.has.match('no option "stauts", did you mean status', messages[2])
    assert.are.equal(0, #queries())
  end)
end)
