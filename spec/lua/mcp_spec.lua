-- The server for agents, line by line.

local core = require "proxylua.core"
local mcp = require "spec.support.mcp"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local META = "io.modelcontextprotocol/"
local isp = { type = "isp", quantity = 2, country = "US", period = 30 }

local sandbox, client

local function open(...)
  client = mcp.open(sandbox, { ... })
  return client
end

local function close()
  if not client then return end
  local code, rest, err = client:close()
  client = nil
  return code, rest, err
end

local function order_count() return #sandbox:look("orders").orders end

local function error_of(result)
  assert.is_true(result.isError)
  return core.json.decode(result.content[1].text)
end

local function modern(capabilities)
  return { [META .. "protocolVersion"] = "2026-07-28",
    [META .. "clientCapabilities"] = capabilities or {} }
end

before_each(function() sandbox = sandboxes.start() end)
after_each(function()
  close()
  sandbox:stop()
end)

describe("the server", function()
  it("agrees on a revision, and offers its newest for one that it does not know", function()
    for _, version in ipairs{ "2025-11-25", "2025-06-18", "2025-03-26" } do
      open()
      assert.are.equal(version, client:initialize(version).protocolVersion)
      assert.are.equal(0, (close()))
    end
    open()
    assert.are.equal("2025-11-25", client:initialize("1999-01-01").protocolVersion)
  end)

  it("serves requests that have their revision with them, without initialize", function()
    open()
    local found = client:request("server/discover", { _meta = modern() }).result
    assert.same({ "2026-07-28" }, found.supportedVersions)
    assert.are.equal("complete", found.resultType)
    assert.are.equal("proxylua", found._meta[META .. "serverInfo"].name)
    local list = client:request("tools/list", { _meta = modern() }).result
    assert.is_true(#list.tools > 10)
    assert.are.equal("private", list.cacheScope)
    local other = client:request("tools/list",
      { _meta = { [META .. "protocolVersion"] = "2031-01-01" } }).error
    assert.are.equal(-32022, other.code)
    assert.same({ "2026-07-28" }, other.data.supported)
    assert.are.equal(-32602, client:request("tools/list",
      { _meta = { [META .. "protocolVersion"] = "2026-07-28" } }).error.code)
    assert.are.equal(-32601, client:request("ping", { _meta = modern() }).error.code)
    assert.are.equal(-32602, client:request("tools/list").error.code)
  end)

  it("reports each message that is not one, and goes on", function()
    open()
    client:initialize()
    local expected = {
      ["nonsense"] = -32700, ["{"] = -32700, ["[]"] = -32600, ["[1]"] = -32600, ["1"] = -32600,
      ['"x"'] = -32600, ["{}"] = -32600, ['{"jsonrpc":"1.0","id":1,"method":"ping"}'] = -32600,
      ['{"jsonrpc":"2.0","id":{},"method":"ping"}'] = -32600,
      ['{"jsonrpc":"2.0","id":1.5,"method":"ping"}'] = -32600,
      ['{"jsonrpc":"2.0","id":7,"method":"none"}'] = -32601,
      ['{"jsonrpc":"2.0","id":7,"method":"tools/call","params":[1]}'] = -32602,
      ['{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x"}}'] = -32602,
      ['{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"limits","arguments":3}}'] =
        -32602,
      [("["):rep(5000)] = -32700, [("x"):rep(5 << 20)] = -32700, ["\0\255"] = -32700,
    }
    for line, code in pairs(expected) do
      client:write(line .. "\n")
      assert.are.equal(code, client:read().error.code, line:sub(1, 60))
    end
    client:write("\n \r\n")
    client:send{ method = "notifications/unknown" }
    client:send{ method = "notifications/cancelled", params = { requestId = 99 } }
    client:send{ id = "stray", result = {} }
    assert.same({}, client:request("ping").result)
    assert.are.equal(0, (close()))
  end)

  it("takes batches in the one revision that has them", function()
    open()
    client:initialize("2025-03-26")
    client:write('[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"x"},'
      .. '{"jsonrpc":"2.0","id":"b","method":"tools/call","params":{"name":"account_get"}}]\n')
    local list = client:read()
    assert.are.equal(2, #list)
    assert.are.equal("b", list[2].id)
  end)

  it("writes only messages, and responds to all requests before it ends", function()
    open("--verbose")
    client:initialize()
    for id = 1, 20 do
      client:send{ id = 100 + id, method = "tools/call", params = { name = "orders_list" } }
    end
    local code, rest = close()
    assert.are.equal(0, code)
    local count = 0
    for line in rest:gmatch("[^\n]+") do
      if core.json.decode(line).id then count = count + 1 end
    end
    assert.are.equal(20, count)
  end)

  it("refuses more requests at once than it can hold", function()
    sandbox:change("settings", { faults = { "account.get:delay=0.5" } })
    open()
    client:initialize()
    for id = 1, 300 do
      client:send{ id = id, method = "tools/call", params = { name = "account_get" } }
    end
    local busy, good = 0, 0
    for _ = 1, 300 do
      local message = client:read()
      if message.error then busy = busy + 1 else good = good + 1 end
      if message.error then assert.are.equal(-32000, message.error.code) end
    end
    assert.is_true(busy > 0 and good >= 128)
  end)
end)

describe("a tool", function()
  it("has schemas and hints, and none that writes with --read-only", function()
    open("--read-only", "--folder", "/tmp")
    client:initialize()
    for _, tool in ipairs(client:request("tools/list").result.tools) do
      assert.is_true(tool.annotations.readOnlyHint, tool.name)
      assert.are.equal("object", tool.inputSchema.type)
      assert.are.equal("object", tool.outputSchema.type)
      assert.matches("^[%w_]+$", tool.name)
    end
    assert.are.equal(-32602, client:request("tools/call",
      { name = "orders_create", arguments = isp }).error.code)
    close()
    open("--folder", "/tmp")
    client:initialize()
    local kinds = {}
    for _, tool in ipairs(client:request("tools/list").result.tools) do
      kinds[tool.name] = tool.annotations
    end
    assert.is_true(kinds.orders_create.destructiveHint)
    assert.is_true(kinds.orders_create.idempotentHint)
    assert.is_false(kinds.export.readOnlyHint)
    assert.is_true(kinds.orders_calc.readOnlyHint)
  end)

  it("names all that is wrong with its arguments, and sends nothing", function()
    open("--spend", "50")
    client:initialize()
    local err = error_of(client:tool("orders_create",
      { type = 7, country = "USA", colour = "red", period = 0 }))
    assert.are.equal("usage", err.kind)
    for _, part in ipairs{ "type must be a string", "country must be at most 2", "colour is not",
      "quantity is missing", "period must be at least 1" } do
      assert.matches(part, err.message, 1, true)
    end
    assert.matches("pools%[1%].name is missing",
      error_of(client:tool("fleet_plan", { pools = { { type = "isp", quantity = 1 } } })).message)
    assert.is_nil(sandbox:look("counters").requests["orders.create"])
  end)

  it("hides passwords unless they are asked for", function()
    open("--spend", "50")
    client:initialize()
    local id = client:tool("orders_create", isp).structuredContent.id
    local function password()
      local result = client:tool("orders_proxies", { id = id })
      local proxy = result.structuredContent.proxies[1]
      assert.is_truthy(proxy.url:find(proxy.password, 1, true))
      return proxy.password, result.content[1].text
    end
    local masked, text = password()
    close()
    open("--reveal")
    client:initialize()
    local real = password()
    assert.matches("^%*+$", masked)
    assert.matches("^%w+$", real)
    assert.is_nil(text:find(real, 1, true))
  end)

  it("exports into its folder alone", function()
    local folder = program.folder()
    open("--spend", "50", "--folder", folder)
    client:initialize()
    client:tool("orders_create", isp)
    assert.are.equal(2, client:tool("export", { file = "a.txt" }).structuredContent.proxies)
    assert.matches("^[^\n]+\n[^\n]+\n$", program.read(folder .. "/a.txt"))
    for _, name in ipairs{ "../a", "/etc/passwd", ".a", "a/b", "" } do
      assert.are.equal("usage", error_of(client:tool("export", { file = name })).kind)
    end
    program.remove(folder)
  end)

  it("can be cancelled, after which nothing of it is sent", function()
    sandbox:change("settings", { faults = { "orders.list:delay=30" } })
    open()
    client:initialize()
    client:send{ id = 50, method = "tools/call", params = { name = "orders_list" } }
    client:send{ method = "notifications/cancelled", params = { requestId = 50 } }
    assert.same({}, client:request("ping").result)
    local code, rest = close()
    assert.are.equal(0, code)
    assert.are.equal("", rest)
  end)
end)

describe("a purchase", function()
  it("that is asked for again returns the same order", function()
    open("--spend", "50")
    client:initialize()
    local first = client:tool("orders_create", isp).structuredContent
    local again = client:tool("orders_create", isp).structuredContent
    assert.is_false(first.repeated)
    assert.is_true(again.repeated)
    assert.are.equal(first.id, again.id)
    local other = { key = "another" }
    for name, value in pairs(isp) do other[name] = value end
    assert.are_not.equal(first.id, client:tool("orders_create", other).structuredContent.id)
    assert.are.equal(2, order_count())
    local longer = client:tool("orders_extend", { id = first.id, period = 30 }).structuredContent
    assert.is_true(client:tool("orders_extend", { id = first.id, period = 30 })
      .structuredContent.repeated)
    assert.are.equal(first.id, longer.id)
  end)

  it("at the same time as another is one order", function()
    open("--spend", "50")
    client:initialize()
    for id = 1, 8 do
      client:send{ id = 200 + id, method = "tools/call",
        params = { name = "orders_create", arguments = isp } }
    end
    local ids, fresh = {}, 0
    for _ = 1, 8 do
      local message
      repeat message = client:read() until message.id
      local order = message.result.structuredContent
      ids[order.id] = true
      if not order.repeated then fresh = fresh + 1 end
    end
    assert.is_nil(next(ids, next(ids)))
    assert.are.equal(1, fresh)
    assert.are.equal(1, order_count())
  end)

  it("stays below each of its limits", function()
    local function kind(...)
      open(...)
      client:initialize()
      local err = error_of(client:tool("orders_create", isp))
      close()
      return err.kind
    end
    assert.are.equal("spend_refused", kind())
    assert.are.equal("spend_refused", kind("--spend", "4"))
    assert.are.equal("spend_refused", kind("--spend", "50", "--max-price", "4"))
    assert.are.equal("spend_refused", kind("--spend", "50", "--per-day", "4"))
    assert.are.equal(0, order_count())
  end)

  it("ends although the client closes its side meanwhile", function()
    sandbox:change("settings", { faults = { "orders.create:delay=3" } })
    open("--spend", "50")
    client:initialize()
    client:send{ id = 9, method = "tools/call", params = { name = "orders_create",
      arguments = isp } }
    local code, rest = close()
    assert.are.equal(0, code)
    assert.matches('"id":9', rest, 1, true)
    assert.are.equal(1, order_count())
  end)
end)

describe("--ask", function()
  local function asks(answer)
    return function(message)
      if message.method ~= "elicitation/create" then return end
      client.asked = message.params.message
      client:send{ id = message.id, result = answer }
    end
  end

  it("asks the person in the session, and buys after a yes only", function()
    open("--spend", "50", "--ask")
    client:initialize("2025-06-18", { elicitation = {} })
    for _, answer in ipairs{ { action = "decline" }, { action = "cancel" }, { action = "accept" },
      { action = "accept", content = { confirm = false } } } do
      assert.are.equal("spend_refused", error_of(client:tool("orders_create", isp,
        asks(answer))).kind)
    end
    assert.are.equal(0, order_count())
    local yes = asks{ action = "accept", content = { confirm = true } }
    local order = client:tool("orders_create", isp, yes).structuredContent
    assert.matches("4.80 (balance 1000.00 -> 995.20)?", client.asked, 1, true)
    client.asked = nil
    assert.are.equal(order.id, client:tool("orders_create", isp, yes).structuredContent.id)
    assert.is_nil(client.asked)
  end)

  it("ends a modern request with the question, and the client repeats it with the reply", function()
    open("--spend", "50", "--ask")
    local function buy(more)
      local params = { name = "orders_create", arguments = isp,
        _meta = modern{ elicitation = {} } }
      for name, value in pairs(more or {}) do params[name] = value end
      return client:request("tools/call", params).result
    end
    local asked = buy()
    assert.are.equal("input_required", asked.resultType)
    assert.are.equal("elicitation/create", asked.inputRequests.confirm.method)
    local yes = { confirm = { action = "accept", content = { confirm = true } } }
    assert.are.equal("input_required", buy{ inputResponses = yes }.resultType)
    assert.are.equal("input_required",
      buy{ inputResponses = yes, requestState = "forged" }.resultType)
    assert.are.equal("input_required", buy{ inputResponses = yes,
      requestState = asked.requestState, arguments = { type = "isp", quantity = 3, country = "US",
        period = 30 } }.resultType)
    assert.are.equal(0, order_count())
    local order = buy{ inputResponses = yes, requestState = asked.requestState }
    assert.is_false(order.structuredContent.repeated)
    assert.are.equal(1, order_count())
    local params = { name = "orders_create", _meta = modern(),
      arguments = { type = "isp", quantity = 1, country = "US", period = 30 } }
    assert.are.equal(-32021, client:request("tools/call", params).error.code)
  end)

  it("refuses where the client cannot ask", function()
    open("--spend", "50", "--ask")
    client:initialize("2025-03-26")
    assert.are.equal("spend_refused", error_of(client:tool("orders_create", isp)).kind)
    assert.are.equal(0, order_count())
  end)
end)

describe("--install-config", function()
  it("prints what a client's configuration needs", function()
    local out = program.run({ "--spend", "5", "mcp", "--install-config", "claude",
      "--max-price", "3" }).out
    local server = core.json.decode(out).mcpServers.proxylua
    assert.are.equal(program.path, server.command)
    assert.same({ "mcp", "--spend", "5", "--max-price", "3" }, server.args)
    out = program.run({ "mcp", "--install-config", "vscode", "--read-only" }).out
    assert.same({ "mcp", "--read-only" }, core.json.decode(out).servers.proxylua.args)
    assert.are.equal(2, program.run({ "mcp", "--install-config", "emacs" }).code)
  end)
end)
