local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"

local sandbox

-- Requests by endpoint since the last reset of the counters.
local function requests()
  return sandbox:look("counters").requests
end

local buy = [[
  local order = px.orders.create{ type = "isp", quantity = 2, country = "US", period = 30 }
  order.price = tostring(order.price)
  return order
]]

describe("px.orders.create", function()
  setup(function() sandbox = sandboxes.start() end)
  teardown(function() sandbox:stop() end)
  before_each(function() -- which gives out the same ids again
    sandbox:change("reset")
    os.execute("rm -rf " .. sandbox.home .. "/state")
  end)

  it("returns the server's order if that is complete", function()
    local order = sandbox:eval(buy)
    local sold = sandbox:look("orders").orders[1]
    for _, name in ipairs{ "id", "price", "created_at", "expires_at" } do
      assert.are.equal(sold[name], order[name])
    end
    assert.are.equal("active", order.status)
    assert.is_nil(requests()["orders.get"])
  end)

  it("looks the order up if the server returns its id alone", function()
    sandbox:change("settings", { dialect = "bare" })
    local order = sandbox:eval(buy)
    local sold = sandbox:look("orders").orders[1]
    assert.are.equal(sold.price, order.price)
    assert.are.equal("active", order.status)
    assert.are.equal(2, order.quantity)
    assert.is_string(order.expires_at)
    assert.are.equal(1, requests()["orders.get"])
  end)

  it("returns the parameters and the quote if it cannot be looked up", function()
    sandbox:change("settings", { dialect = "bare", faults = { "orders.get:status=404" } })
    local order = sandbox:eval(buy)
    local sold = sandbox:look("orders").orders[1]
    assert.are.same({
      id = sold.id, type = "isp", quantity = 2, country = "US", period = 30, price = sold.price,
    }, order)
  end)

  it("does not lose the id when its task is cancelled while it looks", function()
    sandbox:change("settings", { dialect = "bare", faults = { "orders.get:delay=60" } })
    local id, again = sandbox:eval(([[
      local order, again
      local task = px.spawn(function()
        order = px.orders.create{ type = "isp", quantity = 2, country = "US", period = 30 }
        again = select(2, pcall(px.account.get)).kind
      end)
      local function looked_up()
        local answer = px.http.get(%q, { headers = { ["X-Sandbox-Key"] = %q }, proxy = "" })
        return answer:json().requests["orders.get"]
      end
      while not looked_up() do px.sleep(0.01) end
      task:cancel()
      pcall(task.join, task)
      return order.id, again
    ]]):format(sandbox.admin_url .. "/counters", sandbox.key))
    assert.are.equal(sandbox:look("orders").orders[1].id, id)
    assert.are.equal("cancelled", again)
  end)

  it("returns what would have been bought in a dry run", function()
    local result = sandbox:run({ "--dry-run", "-e", [[
      local px = require "proxylua"
      local order = px.orders.create{ type = "isp", quantity = 2, country = "US", period = 30 }
      print(order.dry_run, order.id, order.type, order.quantity, px.money.is(order.price))
    ]] })
    assert.are.equal("true\tnil\tisp\t2\ttrue\n", result.out)
    assert.are.equal(0, sandbox:look("counters").sold)
  end)

  it("buys once under one key", function()
    local first, second, kind = sandbox:eval[[
      local function order(quantity)
        return px.orders.create{ type = "isp", quantity = quantity, country = "US", period = 30, key = "restock" }
      end
      local first, second = order(2), order(2)
      local _, err = px.try(order, 3)
      return first.id, second.id, err.kind
    ]]
    assert.are.equal(first, second)
    assert.are.equal("key_reused", kind)
    assert.are.equal(1, sandbox:look("counters").sold)
  end)
end)

-- Runs code against a server that has the order ord_1 and returns its proxies in these bodies,
-- one after the other.
local function eval_with(order, proxies, code)
  local function answers(bodies)
    local list = {}
    for index, body in ipairs(bodies) do
      list[index] = body:find("^HTTP") and body or servers.ok(body,
        "Content-Type: application/json\r\n")
    end
    return list
  end
  local server = servers.start{ ["/orders/ord_1"] = answers{ order }, ["/orders/ord_1/proxies"] =
    answers(proxies) }
  local results = table.pack(pcall(sandbox.eval, sandbox, code,
    { env = { PROXYLUA_BASE_URL = server.url } }))
  server:stop()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

local three = '{"id":"ord_1","type":"isp","quantity":3,"status":"active"}'
local function proxies(count)
  local list = {}
  for index = 1, count do list[index] = ('{"host":"10.0.0.%d","port":8080}'):format(index) end
  return "[" .. table.concat(list, ",") .. "]"
end
local gone = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"

local count = [[ return #px.orders.wait("ord_1", { interval = 0.001 }) ]]
local failure = [[
  local _, err = px.try(px.orders.wait, "ord_1", { interval = 0.001, timeout = 0.01 })
  return err.kind, err.message
]]

describe("px.orders.wait", function()
  setup(function() sandbox = sandboxes.start() end)
  teardown(function() sandbox:stop() end)

  it("returns proxies that exist", function()
    local url = sandbox:eval[[
      local order = px.orders.create{ type = "isp", quantity = 2, country = "US", period = 30 }
      return px.orders.wait(order.id)[2].url
    ]]
    assert.has.match("^http://", url)
  end)

  it("waits until as many are there as were ordered", function()
    assert.are.equal(3, eval_with(three, { gone, "[]", proxies(1), proxies(2), proxies(3) }, count))
  end)

  it("takes fewer when they do not become more", function()
    assert.are.equal(2, eval_with(three, { proxies(1), proxies(2) }, count))
  end)

  it("takes what there is of an order by the GB", function()
    assert.are.equal(1, eval_with(
      '{"id":"ord_1","type":"residential","quantity":5,"status":"active"}',
      { "[]", proxies(1), proxies(5) }, count))
  end)

  it("looks again on its own", function()
    assert.are.equal(3, eval_with(three, { "[]", proxies(3) },
      [[ return #px.orders.wait("ord_1") ]]))
  end)

  it("gives up when its time is over", function()
    local kind, message = eval_with(three, { "[]" }, failure)
    assert.are.equal("timeout", kind)
    assert.are.equal("order ord_1: 0 of 3 proxies exist after 0.01 s", message)
  end)

  it("stops at an order that is cancelled, or that does not exist", function()
    for _, status in ipairs{ "cancelled", "expired", "failed", "Rejected" } do
      local kind, message = eval_with(('{"id":"ord_1","status":"%s"}'):format(status), { "[]" },
        failure)
      assert.are.equal("not_found", kind)
      assert.are.equal(("order ord_1 is %s: it has no proxies to wait for"):format(status), message)
    end
    assert.are.equal("not_found", (eval_with(gone, { "[]" }, failure)))
  end)

  it("refuses what it cannot do", function()
    local messages = sandbox:eval[[
      local function message(...) return select(2, pcall(px.orders.wait, ...)).message end
      return { message("x", 5), message("x", { timeot = 5 }), message("x", { interval = 0 }), message{ id = "x" }, message() }
    ]]
    assert.has.match("options as a table", messages[1])
    assert.has.match('no option "timeot", did you mean timeout', messages[2])
    assert.has.match("interval must be a duration above 0", messages[3])
    assert.has.match("takes id first, got a table", messages[4])
    assert.has.match("id is missing", messages[5])
  end)
end)
