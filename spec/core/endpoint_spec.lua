local core = require "proxylua.core"
local endpoints = core.endpoints

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(core.error.is(err), "not an error value: " .. tostring(err))
  assert.are.equal("usage", err.kind)
  return err.message
end

local function row(name)
  for _, found in ipairs(endpoints()) do
    if found.name == name then return found end
  end
end

describe("the table of endpoints", function()
  it("has every endpoint of the API's reference, in its order", function()
    local names = {}
    for index, found in ipairs(endpoints()) do
      names[index] = found.name .. " " .. found.method .. " " .. found.path
    end
    assert.are.same({
      "account.get GET /account",
      "account.transactions GET /account/transactions",
      "orders.calc POST /orders/calc",
      "orders.create POST /orders",
      "orders.list GET /orders",
      "orders.get GET /orders/:id",
      "orders.proxies GET /orders/:id/proxies",
      "orders.download GET /orders/:id/download",
      "orders.extend POST /orders/:id/extend",
      "reference.countries GET /reference/countries",
      "reference.proxy_types GET /reference/proxy-types",
      "reference.periods GET /reference/periods",
      "deposits.addresses GET /deposits/addresses",
      "deposits.create_address POST /deposits/addresses",
    }, names)
  end)

  it("lets only what charges nothing be sent twice", function()
    local classes = { ["orders.create"] = "charge", ["orders.extend"] = "charge",
      ["deposits.create_address"] = "once" }
    for _, found in ipairs(endpoints()) do
      assert.are.equal(classes[found.name] or "safe", found.class, found.name)
      if found.method ~= "GET" and found.name ~= "orders.calc" then
        assert.are_not.equal("safe", found.class)
      end
    end
  end)

  it("has the place, type and bounds of each parameter", function()
    local list = row("orders.list")
    assert.is_true(list.list and list.paged)
    assert.are.equal("order", list.record)
    local page, limit, kind, status = table.unpack(list.params)
    assert.are.same({ "page", "integer", "query", false, 1 }, { page.name, page.type, page.where,
      page.required,
      page.min })
    assert.is_nil(page.max)
    assert.are.same({ 1, 100 }, { limit.min, limit.max })
    assert.are.same({ "residential", "datacenter", "isp", "mobile", "ipv6" }, kind.values)
    assert.are.same({ "active", "expired", "cancelled" }, status.values)
    local create = row("orders.create")
    assert.are.equal("body", create.params[1].where)
    assert.is_true(create.params[1].required and create.params[2].required)
    assert.is_false(create.params[3].required or create.params[4].required)
    assert.are.same({ 2, 2 }, { create.params[4].min, create.params[4].max })
    for _, found in ipairs(endpoints()) do
      for _, param in ipairs(found.params) do
        assert.are.equal(param.where == "path", found.path:find(":" .. param.name, 1, true) ~= nil)
        assert.is_true(#param.summary > 0)
      end
    end
  end)

  it("is a new copy each time", function()
    endpoints()[1].name = "changed"
    assert.are.equal("account.get", endpoints()[1].name)
  end)

  it("finds the nearest name", function()
    assert.are.equal("orders.create", endpoints.nearest("orders.creat"))
    assert.are.equal("orders.list", endpoints.nearest("order.list"))
    assert.are.equal("orders.list", endpoints.nearest("orders.lsit"))
    assert.is_nil(endpoints.nearest("x"))
    assert.is_nil(endpoints.nearest(("orders."):rep(50)))
  end)
end)

describe("matching", function()
  it("knows each row by an example of its path", function()
    for _, found in ipairs(endpoints()) do
      local path = found.path:gsub(":%w+", "ord_1")
      assert.are.equal(found.name, endpoints.match(found.method, path))
    end
  end)

  it("distinguishes methods and depths, and ignores case", function()
    assert.are.equal("orders.create", endpoints.match("post", "/ORDERS"))
    assert.are.equal("orders.calc", endpoints.match("POST", "/orders/calc"))
    assert.are.equal("orders.get", endpoints.match("GET", "/orders/calc"))
    assert.is_nil(endpoints.match("DELETE", "/orders"))
    assert.is_nil(endpoints.match("POST", "/orders/1"))
    assert.is_nil(endpoints.match("POST", "/orders/1/extend/2"))
    assert.is_nil(endpoints.match("GET", "/"))
    assert.is_nil(endpoints.match("GET", "/ord"))
    assert.is_nil(endpoints.match("GET", "/orders2"))
  end)
end)

describe("paths", function()
  it("are what was given, byte for byte, and apart from the query", function()
    for _, path in ipairs{ "/orders", "/ORDERS", "/orders.", "/orders/...", "/~a/-b_c", "/..a" } do
      assert.are.same({ path }, { endpoints.check_path(path) })
      assert.are.same({ path, "" }, { endpoints.check_path(path .. "?") })
      assert.are.same({ path, "a=/../b&c=%00?;//" },
        { endpoints.check_path(path .. "?a=/../b&c=%00?;//") })
    end
  end)

  it("are refused with an empty segment, a segment of dots, and a slash at the end", function()
    for _, path in ipairs{ "", "orders", "https://elsewhere.example/orders", "?a", "/", "//",
      "/orders/", "//orders", "/orders//a", "/.", "/..", "/./orders", "/orders/.", "/orders/..",
      "/orders/../account", "/orders/?a", "/?a" } do
      failure(endpoints.check_path, path)
    end
  end)

  it("are refused with any byte but letters, digits and - _ ~ . /", function()
    for byte = 0, 255 do
      local char = string.char(byte)
      local given = { "/a" .. char .. "b", "/a" .. char, "/" .. char .. "b" }
      if char:find("[%w_~-]") then
        for _, path in ipairs(given) do assert.are.equal(path, (endpoints.check_path(path))) end
      elseif not char:find("[./?]") then
        for _, path in ipairs(given) do failure(endpoints.check_path, path) end
      end
    end
  end)

  it("are refused with a query that a server might cut or split", function()
    for _, path in ipairs{ "/a?b#c", "/a?b c", "/a?\0", "/a?b\\c", "/a?b\nc" } do
      failure(endpoints.check_path, path)
    end
  end)
end)

describe("paths with ids", function()
  it("encode the id whole", function()
    assert.are.equal("/orders/ord_1/proxies", endpoints.path("orders.proxies", { id = "ord_1" }))
    assert.are.equal("/orders/a%2Fb%3Fc%23%25%20%C3%A9",
      endpoints.path("orders.get", { id = "a/b?c#% é" }))
    assert.are.equal("/orders/..a/extend", endpoints.path("orders.extend", { id = "..a" }))
    assert.are.equal("/account", endpoints.path("account.get", { id = "ord_1" }))
  end)

  it("refuse an id that would change the path", function()
    for _, id in ipairs{ "", ".", "..", "...", " ", " .", "\t" } do
      assert.matches("is not an id", failure(endpoints.path, "orders.get", { id = id }), 1, true)
    end
    failure(endpoints.path, "orders.get", {})
  end)
end)

describe("validation", function()
  local function refused(name, params) return failure(core.api.call, name, params) end

  it("names the endpoint, the parameter, what was given and what is expected", function()
    assert.are.equal(
      "orders.list: limit is 101; expected an integer from 1 to 100 (records a page)",
                     refused("orders.list", { limit = 101 }))
    assert.are.equal("orders.list: page is 0; expected an integer of at least 1 (page, from 1)",
                     refused("orders.list", { page = 0 }))
    assert.matches('orders.create: country is "USA"; expected a text of 2 letters',
                   refused("orders.create", { type = "isp", quantity = 1, country = "USA" }), 1,
                     true)
    assert.matches("orders.create: quantity is missing; expected an integer of at least 1",
                   refused("orders.create", { type = "isp" }), 1, true)
    assert.matches("orders.extend: id is missing", refused("orders.extend", { period = 1 }), 1,
      true)
    for _, value in ipairs{ 1.5, "x", true, {}, print, -1, 0 } do
      assert.matches("orders.create: quantity is ",
        refused("orders.create", { type = "isp", quantity = value }), 1,
        true)
    end
    for _, value in ipairs{ "", 5, true, {}, "a\0b" } do
      assert.matches("orders.list: type is ", refused("orders.list", { type = value }), 1, true)
    end
    assert.matches('orders.create: max_price: "a lot" is not an amount',
      refused("orders.create", { type = "isp", quantity = 1, max_price = "a lot" }), 1, true)
  end)

  it("refuses an id that is empty, blank or holds a NUL, for every endpoint that takes one",
    function()
      for _, found in ipairs(endpoints()) do
        for _, id in ipairs(found.path:find(":id") and { "", " ", "ord_1\0", "\0", ".." } or {}) do
          local params = { id = id, period = found.name == "orders.extend" and 1 or nil }
          assert.matches(found.name, refused(found.name, params), 1, true)
        end
      end
    end)

  it("names the nearest parameter for a misspelt one", function()
    assert.are.equal(
      'orders.list has no parameter "stauts", did you mean "status"? It takes page, limit, '
                     .. "type, status, timeout, max_wait",
                     refused("orders.list", { stauts = "active" }))
    assert.matches('did you mean "max_price"?', refused("orders.create", { max_prise = 1 }), 1,
      true)
    assert.matches('did you mean "path"?', refused("orders.download", { id = "x", pth = "p" }), 1,
      true)
    assert.matches('did you mean "type"?', refused("orders.list", { tpye = "isp" }), 1, true)
    assert.is_nil(refused("orders.list", { pg = 1 }):find("did you mean", 1, true))
    assert.is_nil(refused("account.get", { nonsense = 1 }):find("did you mean", 1, true))
    assert.matches("orders.creat", refused("orders.creat", {}), 1, true)
  end)
end)
