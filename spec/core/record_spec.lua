local core = require "proxylua.core"
local json, money, record = core.json, core.money, core.record

local function failure(...)
  local ok, err = pcall(record.answer, ...)
  assert.is_false(ok)
  assert.is_true(core.error.is(err), "not an error value: " .. tostring(err))
  return err
end

-- Both dialects of one list: an envelope, and an object that holds the list.
local function dialects(name, items, page)
  local meta = page and ',"meta":{"page":%d,"perPage":%d,"total":%d,"totalPages":%d}' or ""
  local bare = page and ',"page":%d,"limit":%d,"total":%d' or ""
  page = page or {}
  return {
    ('{"success":true,"data":%s' .. meta .. "}"):format(items, table.unpack(page)),
    ('{"%s":%s' .. bare .. "}"):format(name, items, table.unpack(page)),
  }
end

describe("a record", function()
  it("has canonical names and types in every dialect", function()
    local fields = {
      '{"id":"ord_1","type":"isp","quantity":10,"period":30,"country":"US","status":"active",'
        .. '"price":9.3,'
        .. '"created_at":"2026-11-23T10:00:00Z","expires_at":"2026-12-23T10:00:00Z"}',
      '{"orderId":"ord_1","proxyType":"isp","quantity":"10","period":"30","countryCode":"US",'
        .. '"status":"active",'
        .. '"total":"9.30","createdAt":"2026-11-23T10:00:00Z","expiresAt":"2026-12-23T10:00:00Z"}',
      '{"order_id":"ord_1","proxy_type":"isp","quantity":10.0,"period":30,"country_code":"US",'
        .. '"status":"active",'
        .. '"cost":9.3000,"createdAt":1795428000,"expiresAt":"1798020000000"}',
    }
    local wanted = { id = "ord_1", type = "isp", quantity = 10, period = 30, country = "US",
      status = "active",
                     price = money("9.30"), created_at = "2026-11-23T10:00:00Z",
                       expires_at = "2026-12-23T10:00:00Z" }
    for _, text in ipairs(fields) do
      for _, form in ipairs{ "%s", '{"success":true,"data":%s}', '{"data":%s}', '{"order":%s}' } do
        local order = record.answer(form:format(text), "orders.get")
        assert.are.same(wanted, order, form)
        assert.are.equal("integer", math.type(order.quantity))
      end
    end
  end)

  it("keeps unknown fields of the server", function()
    local order = record.answer(
      '{"id":1,"price":2,"total":3,"cost":4,"note":{"amount":5,"id":6},"tags":[],"x":null}',
      "orders.get")
    assert.are.equal(
      '{"cost":4,"id":"1","note":{"amount":5,"id":6},"price":2.00,"tags":[],"total":3}',
      json.encode(order))
  end)

  it("never takes one kind's field for another's", function()
    local transaction = record.answer('[{"id":1,"amount":-3.1,"orderId":"o","type":"charge"}]',
      "account.transactions")[1]
    assert.are.same({ id = "1", amount = money("-3.10"), order_id = "o", type = "charge" },
      transaction)
    assert.are.same({ price = money(5), quantity = "3" },
      record.answer('{"amount":"5","quantity":"3"}', "orders.calc"))
    assert.are.same({ currency = "BTC", address = "bc1q", host = "h" },
                    record.answer('{"currency":"BTC","wallet_address":"bc1q","host":"h"}',
                      "deposits.create_address"))
    assert.are.same({ balance = money("12.5"), email = "a@b.example", id = "7", amount = 1 },
                    record.answer('{"userId":7,"balance":"12.5","email":"a@b.example","amount":1}',
                      "account.get"))
  end)

  it("has exact money, also when the server's sums are inexact", function()
    for text, wanted in pairs{ ["9.3"] = "9.30", ['"9.30"'] = "9.30",
      ["9.299999999999999"] = "9.30",
      ['"1e1"'] = "10.00",
                               ["0.30000000000000004"] = "0.30", ["0.333333333"] = "0.33333333",
                                 ["12"] = "12.00",
                               ["-0.000000005"] = "-0.00000001",
                                 ["92233720368"] = "92233720368.00" } do
      assert.are.equal(wanted,
        tostring(record.answer('{"price":' .. text .. "}", "orders.calc").price), text)
    end
  end)

  it("returns times as UTC, from each format of the server", function()
    for told, expected in pairs{
      ['"2026-11-23T22:15:00+02:00"'] = "2026-11-23T20:15:00Z", ['"2026-11-23 20:15:00"'] =
        "2026-11-23T20:15:00Z",
      ['"2026-12-31T23:30:00.25-0100"'] = "2027-01-01T00:30:00Z",
        ["1795464900.5"] = "2026-11-23T20:15:00Z",
      ['"1795464900.5"'] = "2026-11-23T20:15:00Z", ["1795464900250"] = "2026-11-23T20:15:00Z",
      ['"2026-11-23T20:15:00.123Z"'] = "2026-11-23T20:15:00.123Z", ['"2026-11-23"'] = "2026-11-23",
      ['"2026"'] = "2026", ["-5"] = -5, ['"2026-02-30 10:00:00"'] = "2026-02-30 10:00:00",
        ["1e300"] = 1e300,
      ['"2026-11-23 20:15:00 UTC"'] = "2026-11-23T20:15:00Z",
      ['" 2026-11-23T20:15:00Z "'] = "2026-11-23T20:15:00Z",
      ['"Mon, 23 Nov 2026 20:15:00 GMT"'] = "2026-11-23T20:15:00Z",
      ['"23 Nov 2026 21:15:00 +0100"'] = "2026-11-23T20:15:00Z",
      ['{"$date":"2026-11-23T20:15:00Z"}'] = "2026-11-23T20:15:00Z",
      ['{"$date":"2026-11-23T20:15:00.250Z"}'] = "2026-11-23T20:15:00Z",
      ['{"$date":1795464900000}'] = "2026-11-23T20:15:00Z",
      ['{"$date":{"$numberLong":"1795464900000"}}'] = "2026-11-23T20:15:00Z",
    } do
      local order = record.answer(('{"id":"o","created_at":%s}'):format(told), "orders.get")
      assert.are.equal(expected, order.created_at, told)
    end
  end)

  it("leaves values alone that do not fit their type", function()
    local text =
      '{"id":1,"price":"free","quantity":"ten","period":1.5,"created_at":"soon","status":["x"]}'
    local order = { id = "1", price = "free", quantity = "ten", period = 1.5, created_at = "soon",
      status = { "x" } }
    assert.are.same(order, record.answer(text, "orders.get"))
    assert.are.same({ price = "92233720369" }, record.answer('{"price":"92233720369"}',
      "orders.calc"))
    assert.are.same({ id = "1", quantity = "0x10", period = "1e3" },
      record.answer('{"id":1,"quantity":"0x10","period":"1e3"}',
      "orders.get"))
  end)

  it("may be the id of an order alone", function()
    for _, body in ipairs{ '{"success":true,"data":"ord_1"}', '"ord_1"', '{"orderId":"ord_1"}',
      '{"success":true,"data":{"id":"ord_1"}}' } do
      assert.are.same({ id = "ord_1" }, record.answer(body, "orders.create"))
    end
    assert.are.equal("ord_1", record.answer('{"success":true,"orderId":"ord_1"}',
      "orders.create").id)
  end)
end)

describe("text that cannot be read", function()
  local lone = { "\\ud800", "\\udfff", "\\ud800\\ud800", "\\ud800\\u0041", "\\uDBFF\\n" }
  local shown = { "�", "�", "��", "�A", "�\n" }

  it("becomes U+FFFD in free text, pair or not", function()
    for at, escape in ipairs(lone) do
      local body = ('[{"id":"a","note":"x%sy","%s":1},{"id":"b","price":"2"}]'):format(escape,
        escape)
      local orders = record.answer(body, "orders.list")
      assert.are.equal("x" .. shown[at] .. "y", orders[1].note)
      assert.are.equal(1, orders[1][shown[at]])
      assert.are.same({ "a", "b" }, { orders[1].id, orders[2].id })
      assert.is_nil(orders[1].unreadable)
    end
    local order = record.answer('{"id":"\\ud83d\\ude00","note":"\\\\ud800 \\ud800"}', "orders.get")
    assert.are.same({ id = "😀", note = "\\ud800 �" }, order)
    assert.are.equal("�", record.answer('{"id":"\\ufffd"}', "orders.get").id)
  end)

  it("is found in any place, among random escapes", function()
    math.randomseed(20261129)
    local pieces = { "\\\\", '\\"', "\\n", "\\u0041", "\\ud83d\\ude00", "u", "d800", "é",
      "\\ud800", "\\udc00" }
    for _ = 1, 5000 do
      local text, unpaired, open = {}, 0, false
      for at = 1, math.random(8) do
        text[at] = pieces[math.random(#pieces)]
        if open and text[at] == "\\udc00" then
          unpaired, open = unpaired - 1, false
        else
          open = text[at] == "\\ud800"
          if open or text[at] == "\\udc00" then unpaired = unpaired + 1 end
        end
      end
      local note = record.answer(('{"id":"a","note":"%s"}'):format(table.concat(text)),
        "orders.get").note
      local _, count = note:gsub("�", "")
      assert.are.equal(unpaired, count, table.concat(text, " "))
      assert.is_truthy(utf8.len(note))
    end
  end)

  it("in what has to be exact makes that record alone unreadable", function()
    local fields = { ["orders.list"] = { "id", "orderId" }, ["account.transactions"] = { "id",
      "order_id" }, ["orders.proxies"] = { "host", "user", "pass" } }
    for name, list in pairs(fields) do
      for _, field in ipairs(list) do
        local records = record.answer(
          ('[{"%s":"a\\ud800","type":"x","port":1},{"%s":"b","type":"x","port":1}]'):format(field,
            field), name)
        assert.matches("is not valid Unicode text", records[1].unreadable, 1, true)
        assert.is_nil(records[1][field])
        assert.is_nil(records[1].url)
        assert.is_nil(records[2].unreadable)
        assert.are.equal(2, #records)
      end
    end
    assert.matches("one whose id is not valid Unicode text",
      failure('{"id":"a\\ud800"}', "orders.get").message, 1, true)
    assert.is_nil(record.field('{"id":"a\\ud800"}', "order", "id"))
    assert.are.equal("�", record.field('{"id":"a","status":"\\ud800"}', "order", "status"))
  end)
end)

describe("an id", function()
  it("has 1 to 512 bytes and holds no NUL", function()
    for _, size in ipairs{ 1, 127, 128, 129, 511, 512 } do
      local id = ("x"):rep(size)
      assert.are.equal(id, record.answer(('{"id":"%s"}'):format(id), "orders.get").id)
      assert.are.equal(id, record.field(('{"id":"%s"}'):format(id), "order", "id"))
    end
    for text, why in pairs{ [("x"):rep(513)] = "id is longer than 512 bytes", [""] = "id is empty",
      ["a\\u0000b"] = "id holds a NUL byte", ["\\u0000"] = "id holds a NUL byte" } do
      local body = ('{"id":"%s"}'):format(text)
      assert.matches(why, failure(body, "orders.get").message, 1, true)
      assert.is_nil(record.field(body, "order", "id"))
      assert.are.equal(why, record.answer("[" .. body .. "]", "orders.list")[1].unreadable)
    end
    for _, value in ipairs{ "{}", "[]", "[1]", "true", "false" } do
      assert.matches("id is not a text", failure(('{"id":%s,"type":"isp"}'):format(value),
        "orders.get").message, 1, true)
    end
  end)

  it("that is missing makes a record of a list unreadable, where its kind has one", function()
    local orders = record.answer('[{"status":"active"},{},{"id":"a"}]', "orders.list")
    assert.are.same({ "id is missing", "id is missing" }, { orders[1].unreadable,
      orders[2].unreadable })
    assert.is_nil(orders[3].unreadable)
    assert.is_nil(record.answer('[{"type":"charge","amount":1}]',
      "account.transactions")[1].unreadable)
  end)
end)

describe("a proxy", function()
  local function proxy(text) return record.answer("[" .. text .. "]", "orders.proxies")[1] end

  it("has a URL, percent-encoded", function()
    assert.are.same({ host = "1.2.3.4", port = 8080, username = "a b", password = "p@:/%é",
      protocol = "http",
                      url = "http://a%20b:p%40%3A%2F%25%C3%A9@1.2.3.4:8080" },
                    proxy('{"ip":"1.2.3.4","port":"8080","user":"a b","pass":"p@:/%é"}'))
    local urls = {
      ['{"host":"h.example","port":1}'] = "http://h.example:1",
      ['{"host":"h.example"}'] = "http://h.example",
      ['{"host":"::1","port":1,"protocol":"SOCKS5"}'] = "socks5://[::1]:1",
      ['{"address":"[::2]","port":2,"scheme":"https"}'] = "https://[::2]:2",
      ['{"host":"h","port":3,"protocol":"HTTP/SOCKS5"}'] = "http://h:3",
      ['{"host":"h","port":4,"username":"u"}'] = "http://u@h:4",
      ['{"host":"h","port":5,"login":"","pass":""}'] = "http://h:5",
      ['{"host":"h","port":6,"password":1234}'] = "http://:1234@h:6",
      ['{"host":"h@x/y?z","port":7}'] = "http://h%40x%2Fy%3Fz:7",
      ['{"host":"h","port":8,"url":"told://elsewhere"}'] = "http://h:8",
    }
    for text, url in pairs(urls) do assert.are.equal(url, proxy(text).url, text) end
  end)

  it("is HTTP by default, and has no URL without a host or with an invalid port", function()
    assert.are.same({ protocol = "http", port = 1 }, proxy('{"port":1}'))
    assert.are.same({ protocol = "http", host = "h", port = "x" }, proxy('{"host":"h","port":"x"}'))
    assert.is_nil(proxy('{"host":"h","port":65536}').url)
    assert.is_nil(proxy('{"host":"h","port":-1}').url)
    assert.are.equal("told", proxy('{"url":"told"}').url)
  end)
end)

describe("a list", function()
  it("carries its page in every dialect", function()
    for _, body in ipairs(dialects("orders", '[{"id":1},{"id":2}]', { 2, 2, 5, 3 })) do
      local orders = record.answer(body, "orders.list", 1, 50)
      assert.are.same({ 2, "1", "2" }, { #orders, orders[1].id, orders[2].id })
      assert.are.same({ 2, 2, 5, true }, { orders.page, orders.limit, orders.total,
        orders.has_more })
      assert.are.equal('[{"id":"1"},{"id":"2"}]', json.encode(orders))
    end
    for _, body in ipairs(dialects("orders", '[{"id":5}]', { 3, 2, 5, 3 })) do
      assert.is_false(record.answer(body, "orders.list").has_more)
    end
    for _, body in ipairs(dialects("orders", "[]", { 1, 20, 0, 0 })) do
      local orders = record.answer(body, "orders.list")
      assert.are.same({ 0, 0, false }, { #orders, orders.total, orders.has_more })
      assert.are.equal("[]", json.encode(orders))
    end
  end)

  it("reads the page number from each place where a server puts it", function()
    for _, body in ipairs{
      '{"data":[{}],"pagination":{"page":"2","page_size":1,"total_count":"9"}}',
                           '{"success":true,"data":{"items":[{}],"page":2,"limit":1,'
                             .. '"totalCount":9}}',
                           '{"success":true,"data":{"orders":[{}],"meta":{"page":2,"per_page":1,'
                             .. '"total":9}}}',
                           '{"results":[{}],"page":2,"pageSize":1,"total":9}' } do
      local orders = record.answer(body, "orders.list")
      assert.are.same({ 1, 2, 1, 9, true }, { #orders, orders.page, orders.limit, orders.total,
        orders.has_more }, body)
    end
    assert.is_false(record.answer('{"orders":[{}],"page":2,"limit":2,"total":4}',
      "orders.list").has_more)
    assert.is_true(record.answer('{"orders":[{}],"page":2,"limit":2,"total":5}',
      "orders.list").has_more)
    assert.is_true(record.answer('{"orders":[{}],"total":2}', "orders.list").has_more)
    assert.is_false(record.answer('{"orders":[{}],"total":1}', "orders.list").has_more)
    assert.is_true(record.answer('{"orders":[{}],"page":1,"hasMore":true}', "orders.list").has_more)
    assert.is_false(record.answer('{"orders":[{}],"page":1,"has_more":false,"total":90}',
      "orders.list").has_more)
  end)

  it("takes the requested page when the server does not name one", function()
    local orders = record.answer('[{"id":1},{"id":2}]', "orders.list", 4, 2)
    assert.are.same({ 4, 2, true }, { orders.page, orders.limit, orders.has_more })
    assert.is_nil(orders.total)
    assert.is_false(record.answer('[{"id":1}]', "orders.list", 4, 2).has_more)
    assert.is_false(record.answer("[]", "orders.list").has_more)
  end)

  it("that has no pages is whole", function()
    for _, body in ipairs(dialects("proxies", '[{"host":"h","port":1}]')) do
      local proxies = record.answer(body, "orders.proxies")
      assert.are.same({ 1, 1, false }, { proxies.page, proxies.total, proxies.has_more })
    end
  end)

  it("that is null is empty", function()
    for _, body in ipairs{ "null", '{"success":true,"data":null}',
      '{"success":true,"data":null,"meta":{"total":0}}',
                           '{"orders":null,"total":0}' } do
      assert.are.equal("[]", json.encode(record.answer(body, "orders.list")))
    end
  end)

  it("keeps a null as px.json.null", function()
    local order = record.answer('{"id":"ord_1","tags":["a",null],"of":[{"in":[null]}]}',
      "orders.get")
    assert.equal('{"id":"ord_1","of":[{"in":[null]}],"tags":["a",null]}', json.encode(order))
    assert.equal(json.null, order.tags[2])
    assert.equal('["US",null]', json.encode(json.array(record.answer('["US",null]',
      "reference.countries"))))
  end)

  it("of references is passed on as it is", function()
    assert.are.same({ "US", "DE", page = 1, total = 2, has_more = false },
      record.answer('["US","DE"]',
      "reference.countries"))
    assert.are.equal("US", record.answer('{"success":true,"data":[{"code":"US","id":1}]}',
      "reference.countries")[1].code)
    assert.are.same({ US = "United States" }, record.answer('{"US":"United States"}',
      "reference.countries"))
  end)

  it("of many records is converted whole", function()
    local items = {}
    for index = 1, 1000 do items[index] = ('{"%s":%d,"%s":"%d.50"}'):format(index % 2 == 0 and "id"
      or "orderId", index,
                                                                         ({ "price", "total",
                                                                           "amount",
                                                                           "cost" })[index % 4 + 1],
                                                                             index) end
    local orders = record.answer("[" .. table.concat(items, ",") .. "]", "orders.list")
    assert.are.equal(1000, #orders)
    for index, order in ipairs(orders) do
      assert(order.id == tostring(index) and order.price == money(index + 0.5))
      assert(next(order, next(order, next(order))) == nil)
    end
  end)
end)

describe("a response", function()
  it("that is not what the endpoint promises says what came", function()
    local cases = {
      { '"x"', "orders.list", "expected a list of orders, and the server sent a text" },
      { "7", "orders.list", "a number" }, { "{}", "orders.list", "an object" },
        { "true", "orders.list", "true" },
      { '{"a":[1],"b":[2]}', "orders.list", "an object" },
      { '[{"id":1},7]', "orders.list", "item 2 is a number" },
        { "[null]", "orders.list", "item 1 is null" },
      { "[]", "account.get", "expected an account, and the server sent a list" },
      { "", "account.get", "expected an account, and the server sent nothing" },
      { '"x"', "account.get", "a text" },
        { "null", "orders.get", "expected an order, and the server sent nothing" },
      { '{"success":true}', "orders.get", "nothing" }, { '{"success":true,"data":null}',
        "orders.get", "nothing" },
      { "<html>", "orders.list", "what is not JSON" },
        { '{"data":', "orders.list", "what is not JSON" },
      { ("["):rep(200000), "orders.list", "more than 128 levels" }, { '{"a":"\0"}', "orders.list",
        "NUL" },
      { "[true]", "orders.proxies", "item 1 is true" },
    }
    for _, case in ipairs(cases) do
      local err = failure(case[1], case[2])
      assert.are.same({ "protocol", case[2], "none" }, { err.kind, err.endpoint, err.charge })
      assert.matches(case[3], err.message, 1, true)
    end
    assert.are.equal("made", failure("<html>", "orders.create").charge)
  end)

  it("that reports a failure is one, with any status", function()
    local body =
      '{"success":false,"error":{"message":"no","code":"%s","details":{"quantity":"too many"}}}'
    for code, kind in pairs{ UNVERIFIED = "forbidden", BANNED = "forbidden", UNAUTHORIZED = "auth",
      INVALID_API_KEY = "auth",
                             BAD_REQUEST = "invalid", NOT_FOUND = "not_found",
      RATE_LIMITED = "rate_limited", INSUFFICIENT_BALANCE = "funds", WHATEVER = "upstream" } do
      local err = failure(body:format(code), "orders.list")
      assert.are.same({ kind, code, { quantity = "too many" }, "none" },
        { err.kind, err.code, err.details,
        err.charge })
      assert.matches(": no: quantity too many$", err.message)
    end
    assert.are.equal("unknown", failure(body:format("X"), "orders.extend").charge)
    assert.are.equal("upstream", failure(body:format("X")).kind)
  end)

  it("of status 200 with an error document raises its reason, at every endpoint", function()
    local documents = {
      ['{"error":"order not found"}'] = { "upstream", "order not found" },
      ['{"error":{"message":"slow down","code":"RATE_LIMITED"}}'] = { "rate_limited", "slow down" },
      ['{"error":"NOT_FOUND","message":"gone"}'] = { "not_found", "gone" },
      ['{"error":"no","status":402}'] = { "funds", "no" },
      ['{"error":{"message":"no","code":401}}'] = { "auth", "no" },
      ['{"error":{"message":"no","statusCode":503}}'] = { "upstream", "no" },
      ['{"error":"no","type":"about:blank","errors":["x"]}'] = { "upstream", "no" },
      ['{"error":true,"message":"off"}'] = { "upstream", "off" },
      ['{"success":false,"message":"maintenance"}'] = { "upstream", "maintenance" },
      ['{"success":true,"data":{"error":"inner"}}'] = { "upstream", "inner" },
      ['{"success":true,"data":{"success":false,"error":"inner"}}'] = { "upstream", "inner" },
    }
    for _, row in ipairs(core.endpoints()) do
      if not row.text then
        for body, expected in pairs(documents) do
          local err = failure(body, row.name)
          assert.are.same({ expected[1], row.name, row.class == "charge" and "unknown" or "none" },
            { err.kind, err.endpoint, err.charge }, row.name .. " " .. body)
          assert.matches(expected[2], err.message, 1, true)
        end
      end
    end
    assert.are.equal("upstream", failure('{"error":"no"}').kind)
  end)

  it("with an empty error, or with a record beside one, is not an error document", function()
    for _, none in ipairs{ "null", "false", '""' } do
      assert.are.equal("1", record.answer(('{"error":%s,"id":1}'):format(none), "orders.get").id)
      assert.are.equal(1, #record.answer(('{"error":%s,"orders":[{"id":1}]}'):format(none),
        "orders.list"))
    end
    assert.are.equal("lost", record.answer('{"error":"lost","orderId":1}', "orders.get").error)
    assert.are.equal(1, #record.answer('{"error":"partial","orders":[{"id":1}]}', "orders.list"))
    assert.are.same({ error = false, more = 1 }, record.answer('{"error":false,"more":1}'))
  end)

  it("without any of its endpoint's fields is a protocol error", function()
    for name, missing in pairs{ ["account.get"] = "balance", ["orders.get"] = "id",
      ["orders.calc"] = "price", ["deposits.create_address"] = "address" } do
      for _, body in ipairs{ "{}", '{"success":true,"data":{}}', '{"ok":true}',
        '{"error":null}' } do
        local err = failure(body, name)
        assert.are.same({ "protocol", name }, { err.kind, err.endpoint })
        assert.matches(missing .. " is missing", err.message, 1, true)
      end
    end
    assert.are.same({ email = "a" }, record.answer('{"email":"a"}', "account.get"))
    assert.matches("id is missing", failure('{"status":"active"}', "orders.get").message, 1, true)
  end)

  it("may begin with a byte order mark, and hold its list as null", function()
    local mark = "\xEF\xBB\xBF"
    assert.are.equal("1", record.answer(mark .. '{"id":1}', "orders.get").id)
    assert.are.equal("1", record.field(mark .. '{"id":1}', "order", "id"))
    assert.matches("not JSON", failure(mark, "orders.get").message, 1, true)
    assert.are.equal("refused: no", record.failure(mark .. '{"error":"no"}', 400).message)
    for body, name in pairs{ ['{"addresses":null}'] = "deposits.addresses",
      ['{"success":true,"data":{"addresses":null}}'] = "deposits.addresses",
      ['{"orders":null}'] = "orders.list", ['{"items":null,"x":1}'] = "orders.list",
      ['{"orders":null,"page":1}'] = "orders.list" } do
      assert.are.equal(0, #record.answer(body, name), body)
    end
    for _, body in ipairs{ "{}", '{"other":null}', '{"success":true,"data":{"x":null}}' } do
      assert.matches("a list of orders", failure(body, "orders.list").message, 1, true)
    end
    assert.is_nil(record.answer('{"id":1,"status":null}', "orders.get").status)
  end)

  it("to a path that the table does not know is unwrapped and left alone", function()
    assert.are.same({ orderId = 1, total = "2" },
      record.answer('{"success":true,"data":{"orderId":1,"total":"2"}}'))
    assert.are.same({ data = { 1 }, more = 2 }, record.answer('{"data":[1],"more":2}'))
    assert.are.same({ { a = 1 }, page = 2, limit = 20, total = 50, has_more = true },
                    record.answer(
                      '{"success":true,"data":[{"a":1}],"meta":{"page":2,"perPage":20,'
                        .. '"total":50}}'))
    assert.are.same({ { a = 1 } }, record.answer('[{"a":1}]'))
    assert.are.equal(7, record.answer("7"))
    assert.are.equal("x", record.answer('{"success":true,"data":"x"}'))
    assert.is_nil(record.answer('{"success":true}'))
    assert.is_nil(record.answer("null"))
  end)

  it("is a value or an error value for any bytes", function()
    math.randomseed(20261123)
    local pieces = { "{", "}", "[", "]", ",", ":", '"data"', '"meta"', '"success"', '"id"',
      '"price"', '"page"',
      '"host"', '"error"',
                     "1", "true", "false", "null", '"x"', "{}", "[]", '{"id":1}', '{"data":[',
                       '{"success":true,"data":', "1e300" }
    local names = { "orders.list", "orders.get", "orders.proxies", "account.get",
      "reference.countries", nil }
    for _ = 1, 20000 do
      local text = {}
      for index = 1, math.random(1, 9) do text[index] = pieces[math.random(#pieces)] end
      local body = table.concat(text)
      local ok, result = pcall(record.answer, body, names[math.random(6)])
      assert.is_true(ok or core.error.is(result), body)
      assert.is_true(core.error.is(record.failure(body, 500)))
      record.field(body, "order", "id")
    end
  end)
end)

describe("what the server says of a failure", function()
  it("is understood in every form", function()
    local cases = {
      { '{"success":false,"error":{"message":"bad\\nthing","code":"X1","details":{"f":"q"}}}',
        "refused: bad thing: f q", "X1", { f = "q" } },
      { '{"error":"nope"}', "refused: nope" },
      { '{"error":"NOT_FOUND","message":"no order"}', "refused: no order", "NOT_FOUND" },
      { '{"error":"NOT_FOUND"}', "refused: NOT_FOUND", "NOT_FOUND" },
      { '{"message":"m","code":12,"errors":["a"]}', "refused: m", "12", { "a" } },
      { '{"error":{"error":"inner","details":"d"}}', "refused: inner", nil, "d" },
      { "<html><head><TITLE>502 Bad Gateway</title>",
        'refused: a page of HTML, "502 Bad Gateway"' },
      { " \r\n<p>", "refused: a page of HTML" }, { "<title>", "refused: a page of HTML" },
      { "upstream\1reset", 'refused: "upstream reset"' }, { '"text"', 'refused: "text"' },
      { "", "refused" }, { "\n", "refused" }, { "[]", "refused" }, { "null", "refused" },
        { "{}", "refused" }, { "7",
        "refused" },
      { '{"error":{}}', "refused" }, { '{"error":[1],"message":{}}', "refused" },
        { "\0\0", 'refused: "  "' },
    }
    for _, case in ipairs(cases) do
      local err = record.failure(case[1], 400)
      assert.are.same({ case[2], case[3], case[4] }, { err.message, err.code, err.details },
        case[1])
    end
  end)

  it("is cut where it is long, on a whole character", function()
    for _, filler in ipairs{ "x", "é", "€", "😀" } do
      local err = record.failure('{"error":"' .. filler:rep(5000) .. '"}', 400)
      assert.is_true(#err.message < 400)
      assert.is_truthy(utf8.len(err.message))
      assert.matches(" ...", err.message, 1, true)
    end
    assert.are.equal(63, #record.failure('{"error":{"code":"' .. ("C"):rep(100) .. '"}}', 400).code)
  end)
end)

describe("a single field", function()
  it("is read as text from either dialect", function()
    local cases = {
      { '{"success":true,"data":{"total":"9.3"}}', "quote", "price", "9.30" },
        { '{"id":12}', "order", "id", "12" },
      { '"ord_1"', "order", "id", "ord_1" }, { '{"quantity":"07"}', "order", "quantity", "7" },
      { '{"order":{"orderId":"o"}}', "order", "id", "o" }, { '{"email":"a@b.example"}', "account",
        "email",
        "a@b.example" },
      { '{"success":false,"id":1}', "order", "id" }, { '{"id":{}}', "order", "id" },
        { "[", "order", "id" }, { "",
        "order", "id" },
      { "[1]", "order", "id" }, { '{"price":1}', "order", "no_such" },
        { '{"amount":1}', "transaction", "price" },
    }
    for _, case in ipairs(cases) do
      assert.are.equal(case[4], record.field(case[1], case[2], case[3]), case[1])
    end
  end)
end)
