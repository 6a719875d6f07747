local complete = require "proxylua.repl.complete"
local core = require "proxylua.core"
local program = require "spec.support.program"
local px = require "proxylua"

local WIDTH = 80

describe("completion", function()
  local globals, offer

  before_each(function()
    globals = { px = px, _G = _G, string = string }
    offer = complete.open({ globals }, px)
  end)

  local function insertion(text)
    return (offer(text, WIDTH))
  end

  local function listed(text)
    return select(2, offer(text, WIDTH))
  end

  it("runs nothing of the user's", function()
    local ran = {}
    local function note(name) return function() ran[#ran + 1] = name return {} end end
    globals.trap = setmetatable({ known = 1 }, {
      __index = note "index", __pairs = note "pairs", __len = note "len", __call = note "call",
      __tostring = note "tostring",
      __name = "trap", __metatable = "hidden", __eq = note "eq",
    })
    local deep = setmetatable({ inherited = { leaf = 1 } }, { __index = note "deep" })
    globals.behind = setmetatable({}, { __index = deep })
    assert.are.equal("nown", insertion("trap.k"))
    assert.is_nil(insertion("trap.unknown.x"))
    assert.are.equal("erited", insertion("behind.inh"))
    assert.are.equal("af", insertion("behind.inherited.le"))
    assert.is_nil(insertion("trap().k"))
    assert.are.same({}, ran)
  end)

  it("ends though tables stand behind each other in a circle", function()
    globals.circle = {}
    setmetatable(globals.circle, { __index = globals.circle })
    assert.is_nil(insertion("circle.a"))
  end)

  it("finds methods behind a colon, and only these", function()
    globals.thing = setmetatable({ name = "x" }, { __index = { method = print, value = 1 } })
    globals.amount, globals.text = px.money(1), "abc"
    assert.are.equal("ethod", insertion("thing:m"))
    assert.is_nil(insertion("thing:n"))
    assert.are.equal("ame", insertion("thing.n"))
    assert.are.equal("nd", insertion("amount:rou"))
    assert.are.equal("per", insertion("text:up"))
    assert.are.equal("per", insertion("('x'):up"))
  end)

  it("knows the parameters of endpoints at any position of the line", function()
    globals.list = px.orders.list
    for _, text in ipairs{
      "px.orders.list{ sta", "px.orders.list({ sta", "px.orders.list{ type = 'isp', sta",
      "px.orders.list{ page = f(1, {2}), sta", "for o in px.orders.each{ sta",
      "px.try(px.orders.list, { sta", "list{ sta", "local x = { a = px.orders.list{ sta",
    } do
      assert.are.equal("tus = ", insertion(text), text)
    end
    assert.are.equal("iod = ", insertion("px.orders.extend(id, { per"))
    assert.are.equal("rice = ", insertion("px.orders.create{ max_p"))
    assert.is_nil(insertion("px.orders.list{ status = 'active', sta"))
    assert.is_nil(insertion("px.orders.list{ id"))
  end)

  it("knows the options of other functions, from their documentation", function()
    assert.are.equal("urrency = ", insertion("px.map(list, print, { conc"))
    assert.are.equal("irects = ", insertion("px.http.get(url, { timeout = 5, red"))
    assert.are.equal("irects = ", insertion("px.http.put(url, { red"))
    assert.is_nil(insertion("px.http.put(url, { timeout = 5, timeo"))
  end)

  it("knows the values of parameters, in quotes and without", function()
    assert.are.equal('ive"', insertion('px.orders.list{ status = "act'))
    assert.are.equal("ive'", insertion("px.orders.list{ status = 'act"))
    assert.are.equal('"', insertion("px.orders.list{ status = "))
    assert.truthy(listed("px.orders.list{ status = "):find('"expired"', 1, true))
    assert.is_nil(insertion("other{ status = 'act"))
    assert.are.equal("t']", insertion("string['forma"))
  end)

  it("offers every row of the endpoint table and every parameter of it", function()
    for _, row in ipairs(core.endpoints()) do
      local _, list = offer("px." .. row.name:match("^[^.]+") .. ".", WIDTH)
      local only = insertion("px." .. row.name:match("^[^.]+") .. ".")
      local name = row.name:match("[^.]+$")
      assert.truthy((list or only):find(name, 1, true), row.name)
      for _, option in ipairs(require("proxylua.util.options").of_endpoint(row)) do
        if option.where ~= "path" then
          local before = ("px.%s(%s{ "):format(row.name, row.path:find(":", 1, true) and "id, "
            or "")
          local added, all = offer(before, WIDTH)
          assert.truthy((all or added):find(option[1], 1, true), row.name .. " " .. option[1])
        end
      end
    end
  end)

  it("offers nothing in comments, numbers and empty inputs", function()
    for _, text in ipairs{ "", "   ", "-- px.or", "--[[ px.or", "12", "'px.or" } do
      assert.is_nil(insertion(text), text)
    end
  end)

  it("takes any beginning of any code", function()
    local code =
      "local x <const> = px.orders.list{ status = 'a\\'b', [1] = [==[ long ]==] } -- end\n"
      .. "x.y:z(1, 2)[3] = #x .. 0x1p4"
    for size = 0, #code do offer(code:sub(1, size), WIDTH) end
    local random = 12345
    for _ = 1, 2000 do
      local bytes = {}
      for at = 1, 20 do
        random = (random * 1103515245 + 12345) % 2147483648
        bytes[at] = ("pxa.:{}()[]\"'=,-\n\\ 1é"):sub(random // 65536 % 22 + 1,
          random // 65536 % 22 + 1)
      end
      offer(table.concat(bytes), WIDTH)
    end
  end)

  it("shows no more than fits, of ten thousand fields, and says how many there are", function()
    globals.big = {}
    for number = 1, 10000 do globals.big[("field%05d"):format(number)] = number end
    local added, list = offer("big.f", WIDTH)
    assert.are.equal("ield", added)
    assert.truthy(list:find("… 10000 in all", 1, true))
    assert.is_true(select(2, list:gsub("\n", "")) <= 25)
  end)
end)

describe("the completion of a path", function()
  local folder
  setup(function()
    folder = program.folder()
    assert(os.execute(
      ("cd %s && mkdir -p scripts/deep && ln -s scripts link && touch lone.lua scripts/restock.lua "
      .. "scripts/report.lua scripts/.hidden scripts/éa scripts/èa \"scripts/$(printf "
      .. "'bad\\377')\""):format(folder)))
  end)
  teardown(function() program.remove(folder) end)

  local function path(text)
    local added, list = complete.path(folder .. "/" .. text, WIDTH)
    return added, list and list:gsub("%s+", " ")
  end

  it("is that of the files that there are", function()
    assert.same({ "ne.lua " }, { path("lo") })
    assert.same({ "ripts/" }, { path("sc") })
    assert.same({ "nk/" }, { path("li") })
    assert.same({ "ock.lua " }, { path("scripts/rest") })
    assert.equal("", (path("scripts/re")))
    assert.matches("report.lua restock.lua", select(2, path("scripts/re")), 1, true)
    assert.equal("hidden ", (path("scripts/.")))
    assert.is_nil(select(2, path("scripts/")):find("hidden", 1, true))
    assert.is_nil((path("scripts/b")))
    assert.is_nil((path("nowhere/")))
  end)

  it("adds whole characters", function()
    assert.equal("", (path("scripts/\xC3")))
    assert.equal("a ", (path("scripts/é")))
  end)
end)
