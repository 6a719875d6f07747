-- Options are declared once: what a declaration says is what a function takes, what its messages
-- name, and what help and completion show.

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local options = require "proxylua.util.options"
local px = names.load(require "proxylua")
local reference = require "proxylua.help.reference"

local function message_of(fn, ...)
  local result, err = px.try(fn, ...)
  assert.is_nil(result)
  assert.are.equal("usage", err.kind)
  return err.message
end

local function value_of(name)
  local value = px
  for part in name:gsub("^px%.", ""):gmatch("[^.]+") do value = value[part] end
  return value
end

-- Arguments that stand before the table of options, by the function.
local before = {
  ["px.map"] = { {}, print }, ["px.retry"] = { print }, ["px.csv.read"] = { "" },
  ["px.csv.write"] = { {} }, ["px.pool"] = { { "http://h.x:1" } }, ["px.journal.settle"] = { "k" },
  ["px.export.text"] = { {} }, ["px.export.stream"] = { {}, print }, ["px.export.file"] = { {},
    "x.txt" }, ["px.qr.svg"] = { "x" }, ["px.qr.png"] = { "x" }, ["px.fleet.plan"] = { {} },
  ["px.fleet.apply"] = { {} }, ["px.orders.wait"] = { "ord_1" }, ["px.proxies.each"] = { "x" },
  ["px.proxies.parse"] = { "h.x:1" },
  ["px.exec"] = { "true", {} }, ["px.json.encode"] = { {} }, ["px.check.run"] = { {} },
}
for _, name in ipairs{ "text", "csv" } do
  before["px.report." .. name] = { { totals = {}, by = {} } }
end
for name in pairs(px.http) do before["px.http." .. name] = { "http://127.0.0.1:1/" } end
before["px.http.request"] = nil

local function call(name, given)
  local arguments = table.move(before[name] or {}, 1, 9, 1, {})
  if name == "px.journal.settle" then arguments[2] = "placed" end
  arguments[#arguments + 1] = given
  return message_of(value_of(name), table.unpack(arguments))
end

-- A call that lacks nothing.
local function complete(rows)
  local given = {}
  for _, row in ipairs(rows) do
    if row.required then given[row[1]] = row[1] == "proxies" and {} or "3d" end
  end
  return given
end

-- Functions that leave the check of values to the core, when a request is made.
local by_core = { ["px.error.new"] = true, ["px.error.raise"] = true }

describe("a function with options", function()
  for name, rows in options.each() do
    it("refuses what is not declared: " .. name, function()
      local given = complete(rows)
      given.misspelt_option = 1
      assert.has.match("misspelt_option", call(name, given), 1, true)
      if name ~= "px.error.raise" then
        assert.has.match("table", call(name, 5), 1, true)
      end
    end)

    it("names the option whose value is invalid: " .. name, function()
      for _, row in ipairs(rows) do
        if row[2] ~= "any" and not by_core[name] then
          local given = complete(rows)
          given[row[1]] = row[2] == "boolean" and "x" or print
          if row[2] == "function" then given[row[1]] = "x" end
          local text = call(name, given)
          local expected = row[2] == "table" and type(given[row[1]]) or row[1]
          assert.has.match(row[1], text, 1, true, expected)
        end
      end
    end)

    it("shows each option in its help: " .. name, function()
      local shown = {}
      for _, param in ipairs(reference.find(name).params) do
        if param.option then shown[param.option[1]] = param.text end
      end
      for _, row in ipairs(rows) do
        assert.is_string(shown[row[1]], row[1])
        assert.is_truthy(shown[row[1]]:find(row[3], 1, true))
        assert.is_string(options.meta(row))
        shown[row[1]] = nil
      end
      assert.is_nil(next(shown))
    end)
  end

  it("names all missing options at once", function()
    local read = options.declare("a function", { { "a", "string", "one", required = true },
      { "b", "integer", "two", required = true }, { "c", "boolean", "three" } })
    assert.are.equal("a function: a and b are missing", message_of(read, {}))
    assert.are.equal("a function: b is missing; expected an integer", message_of(read,
      { a = "x" }))
  end)

  it("gets its values converted, and the defaults", function()
    local values = options.read("f", {
      { "wait", "duration", "a", default = "1m" }, { "price", "money", "b" },
      { "country", "country", "c" }, { "list", "strings", "d" },
      { "share", "percent", "e", below = 100 }, { "on", "boolean", "f", default = true },
    }, { price = "9.30", country = "us", list = "x", share = "5", on = false })
    assert.are.same({ wait = 60, price = px.money("9.30"), country = "US", list = { "x" },
      share = 5, on = false }, values)
  end)

  it("names the nearest value of a choice", function()
    assert.are.equal("px.pool: strategy must be round_robin, random, least_latency or sticky, got "
      .. "randm, did you mean random?", message_of(px.pool, { "h.x:1" }, { strategy = "randm" }))
  end)
end)

describe("a function of px", function()
  it("refuses more arguments than it takes", function()
    local count = 0
    for _, entry in ipairs(reference.all()) do
      local is_method = entry.name:find(":", 1, true)
      local last = entry.params[#entry.params]
      local takes_more = last and last.name == "..."
      if not entry.is_field and not is_method and not takes_more and entry.name ~= "px.money"
        and not entry.name:find("^px%.money%.") then
        local arguments, most = {}, 0
        for _, param in ipairs(entry.params) do most = most + (param.option and 0 or 1) end
        arguments[most + 1] = "surplus"
        local text = message_of(value_of(entry.name), table.unpack(arguments, 1, most + 1))
        assert.is_truthy(text:find(("got %d"):format(most + 1)) or text:find(most + 1
          .. " arguments"), entry.name .. ": " .. text)
        count = count + 1
      end
    end
    assert.is_true(count > 70, count)
  end)

  it("takes a nil behind its arguments", function()
    assert.are.equal("a%20b", px.url.encode("a b", nil))
  end)
end)

describe("the messages of the program", function()
  -- The only makers of such texts; everything else declares its options.
  local makers = { ["lua/proxylua/util/options.lua"] = true, ["lua/proxylua/util/names.lua"] = true,
    ["lua/proxylua/cli/args/parser.lua"] = true }

  it("come from one place", function()
    local found = {}
    for _, text in ipairs{ "options as a table", "and (\", did you mean" } do
      local pipe <close> = assert(io.popen(("grep -rlF '%s' lua"):format(text)))
      for path in pipe:lines() do
        if not makers[path] then found[#found + 1] = path .. ": " .. text end
      end
    end
    -- The broker of plugins checks what comes over a socket.
    assert.are.same({ "lua/proxylua/plugin/host/net.lua: options as a table" }, found)
  end)
end)

describe("the core", function()
  it("takes the same options of px.http, px.request and px.error.new", function()
    for _, row in options.each() do assert.is_table(row) end
    local declared = {}
    for name, rows in options.each() do declared[name] = rows end
    local function refuses(fn, ...)
      return select(2, pcall(fn, ...)).message:find("unknown option", 1, true) ~= nil
    end
    for _, row in ipairs(declared["px.http.get"]) do
      local is_of_pool = row[1] == "key"
      assert.are.equal(is_of_pool, refuses(core.http.get, "x", { [row[1]] = {} }) or false, row[1])
    end
  end)
end)
