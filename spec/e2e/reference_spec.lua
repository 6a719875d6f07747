-- The reference is complete and true: each function of px has its entry, and the examples run
-- and print what they say.

local core = require "proxylua.core"
local program = require "spec.support.program"
local px = require("proxylua.util.names").load(require "proxylua")
local comments = require "proxylua.help.comments"
local reference = require "proxylua.help.reference"

-- The names of all that a script can reach.
local function reachable()
  local names = {}
  local function walk(fields, path)
    for name, value in pairs(fields) do
      local full = path .. "." .. name
      if type(value) ~= "table" or getmetatable(value) and getmetatable(value).__call then
        names[full] = value
      end
      if type(value) == "table" then walk(value, full) end
    end
  end
  walk(px, "px")
  names["px.money"], names["px.sandbox"] = px.money, px.sandbox
  for kind, value in pairs{ money = px.money(1), task = px.spawn(function() end) } do
    for name, method in pairs(debug.getmetatable(value).__index) do
      names[kind .. ":" .. name] = method
    end
  end
  for _, name in ipairs{ "next", "report", "stats", "add", "remove" } do
    names["pool:" .. name] = px.pool{ "http://127.0.0.1:1" }[name]
  end
  local gateway = px.gateway{ proxies = { "http://127.0.0.1:1" }, listen = "127.0.0.1:0" }
  for _, name in ipairs{ "update", "stats", "stop", "join" } do
    names["gateway:" .. name] = gateway[name]
  end
  gateway:stop()
  gateway:join()
  core.sandbox.start{}
  local response = px.http.get(core.sandbox.place().trace_url)
  core.sandbox.stop()
  names["response:json"] = response.json
  return names
end

-- "px.orders.get" -> the function
local function reachable_value(name)
  local value = px
  for part in name:gsub("^px%.", ""):gmatch("[^.]+") do value = value[part] end
  return value
end

describe("the reference", function()
  it("has an entry for all that a script can reach, and for nothing else", function()
    local names = reachable()
    for name in pairs(names) do
      assert.is_table(reference.find(name), name .. " is not documented")
    end
    for _, entry in ipairs(reference.all()) do
      assert.is_not_nil(names[entry.name], entry.name .. " is documented, and is not there")
      local value = names[entry.name]
      local is_callable = type(value) == "function" or type(value) == "table"
        and getmetatable(value).__call ~= nil
      assert.are.equal(entry.is_field or false, not is_callable, entry.name)
    end
  end)

  it("says of each what it does, and of functions what they take and raise", function()
    for _, entry in ipairs(reference.all()) do
      assert.has.match("%.$", entry.text, entry.name)
      assert.is_string(entry.usage, entry.name .. " has no example")
      for _, param in ipairs(entry.params) do
        assert.is_true(#reference.about(param) > 0, entry.name .. ": " .. param.name)
      end
    end
  end)

  it("names the parameters of the API's functions, documented or generated", function()
    for _, row in ipairs(core.endpoints()) do
      local entry, text = reference.find("px." .. row.name), {}
      for _, param in ipairs(entry.params) do text[#text + 1] = param.name .. " " .. param.text end
      text = table.concat(text, "\n")
      for _, param in ipairs(row.params) do
        assert.is_truthy(text:find("%f[%w_]" .. param.name .. "%f[^%w_]"), entry.name .. ": "
          .. param.name)
      end
      for _, option in ipairs(row.options) do
        assert.is_truthy(text:find("%f[%w_]" .. option .. "%f[^%w_]"), entry.name .. ": " .. option)
      end
    end
  end)

  it("names no table whose misspelt fields would pass in silence", function()
    local first = { id = "ord_1", url = "http://127.0.0.1:1/", key = "k", state = "placed",
      value = 1, list = {}, what = {},
      words = {}, fn = print, source = "/dev/null", text = "x", rows = {},
      proxies = {}, path = "/dev/null", format = "url",
      write = print, report = { totals = {}, by = {} },
      request = { path = "/account" }, fields = { kind = "usage", message = "x" } }
    local count = 0
    for _, entry in ipairs(reference.all()) do
      local arguments, given = {}, nil
      for at, param in ipairs(entry.params) do
        if param.options then
          given = { misspelt = 1 }
          for name, value in pairs(first[param.name] or {}) do given[name] = value end
          arguments[at] = given
        elseif not param.option then
          arguments[at] = first[param.name]
        end
      end
      if given then
        local ok, err = pcall(function()
          local result = reachable_value(entry.name)(table.unpack(arguments))
          return type(result) == "function" and result()
        end)
        assert.is_false(ok, entry.name)
        assert.are.equal("usage", err.kind, entry.name)
        assert.has.match("misspelt", err.message, 1, true)
        count = count + 1
      end
    end
    assert.is_true(count > 20, count)
  end)

  it("reads comments as they are written", function()
    local list = comments.of([[
--- None of it.
-- @module x

  --- Does a thing,
  -- and well.
  -- @function px.thing
  -- @tparam string name of
  --   the thing
  -- @tparam[opt] integer count
  -- @param options
  -- @treturn string one; two
  -- @raise usage
  -- @usage if px.thing("a") then
  --   print(1)
  -- end
  local x
--- Not this: it is internal.
-- @param y
]])
    assert.are.equal(1, #list)
    assert.are.same({
      name = "px.thing", is_field = false, is_record = false, text = "Does a thing, and well.",
      params = { { name = "name", type = "string", text = "of the thing" },
        { name = "count", type = "integer", text = "", optional = true },
        { name = "options", text = "" } },
      returns = { { type = "string", text = "one; two" } }, raises = { "usage" }, fields = {},
      usage = 'if px.thing("a") then\n  print(1)\nend',
    }, comments.parse(list[1]))
  end)
end)

describe("an example of the reference", function()
  -- What the pages say of the examples: px is there, and an order with its proxies.
  local frame = [[
local px = require("proxylua.util.names").load(require "proxylua")
local order = px.orders.create{ type = "isp", quantity = 2, country = "US", period = 30, key = "example" }
local function example(px, order, proxies)
%s
end
example(px, order, px.orders.wait(order.id))
]]

  for _, entry in ipairs(reference.all()) do
    it("runs: " .. entry.name, function()
      local result = program.run({ "--sandbox", "--spend", "1000", "-" },
        { stdin = frame:format(entry.usage) })
      assert.are.equal("", result.err)
      assert.are.equal(0, result.code)
      local printed, from = result.out:gsub("\t", "  "), 1
      for expected in entry.usage:gmatch("%-%-> ([^\n]+)") do
        local first, last = printed:find(expected, from, true)
        assert.is_truthy(first, ("%q is not in %q"):format(expected, printed))
        from = last + 1
      end
    end)
  end
end)
