-- The annotations for editors say what px has: every function, parameter, option, record and kind
-- of error, both ways.

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local options = require "proxylua.util.options"
local program = require "spec.support.program"
local px = names.load(require "proxylua")

-- What an annotation file declares.
local function parse(text)
  local types = { functions = {}, classes = {}, aliases = {}, fields = {} }
  local class, params, alias
  for line in text:gmatch("[^\n]*") do
    local name, optional, rest = line:match("^%-%-%-@param (%S-)(%??) (.+)$")
    local field, field_type = line:match("^%-%-%-@field ([%w_]+)%??%s+(.+)$")
    local fn, list = line:match("^function ([%w_.:]+)%((.-)%) end$")
    if line:find("^%-%-%-@class ") then
      class = { fields = {} }
      types.classes[line:match("^%-%-%-@class (%S+)")] = class
    elseif line:find("^%-%-%-@alias ") then
      alias = {}
      types.aliases[line:match("^%-%-%-@alias (%S+)")] = alias
    elseif line:find("^%-%-%-| ") then
      alias[#alias + 1] = line:match('"(.-)"')
    elseif name then
      params = params or {}
      params[#params + 1] = { name = name, type = rest:match("^%S+"), optional = optional == "?" }
    elseif field then
      class.fields[field] = field_type
    elseif fn then
      types.functions[fn] = { params = params or {}, list = list }
      params = nil
    elseif line:find("^px%.[%w_.]+ = ") then
      types.fields[line:match("^(%S+)")] = true
    end
  end
  return types
end

describe("the types for editors", function()
  local text, types

  setup(function()
    text = program.run({ "types" }).out
    types = parse(text)
  end)

  it("are Lua", function()
    assert.is_function(load(text, "types", "t", {}))
    assert.has.match("^%-%-%-@meta proxylua\n", text)
  end)

  it("have each function of px, and no other", function()
    local found = {}
    local function walk(fields, path)
      for name, value in pairs(fields) do
        local full = path .. "." .. name
        if type(value) == "function" then
          assert.is_table(types.functions[full], full)
          found[full] = true
        elseif type(value) == "table" then
          walk(value, full)
        else
          assert.is_true(types.fields[full], full)
        end
      end
    end
    walk(px, "px")
    for name in pairs(types.functions) do
      local is_method = name:find(":", 1, true)
      assert.is_true(is_method ~= nil or found[name] == true, name)
    end
  end)

  it("have each method of the values of px, and no other", function()
    local gateway = px.gateway{ proxies = { "http://127.0.0.1:1" }, listen = "127.0.0.1:0" }
    local values = { money = debug.getmetatable(px.money(1)).__index,
      task = debug.getmetatable(px.spawn(function() end)).__index,
      pool = getmetatable(px.pool{ "http://127.0.0.1:1" }).__index,
      gateway = getmetatable(gateway).__index }
    gateway:stop()
    gateway:join()
    local found = { ["class_response:json"] = true }
    for class, methods in pairs(values) do
      for name, value in pairs(methods) do
        local full = ("class_%s:%s"):format(class, name)
        if type(value) == "function" and name ~= "fetch" and name:sub(1, 2) ~= "__" then
          assert.is_table(types.functions[full], full)
          found[full] = true
        end
      end
    end
    for name in pairs(types.functions) do
      assert.is_true(not name:find(":", 1, true) or found[name], name)
    end
  end)

  it("name the parameters in their order, with a type that exists", function()
    local builtin = { string = true, number = true, integer = true, boolean = true, table = true,
      any = true, ["nil"] = true, fun = true, ["function"] = true, userdata = true }
    for name, fn in pairs(types.functions) do
      local list = {}
      for at, param in ipairs(fn.params) do
        list[at] = param.name
        for word in param.type:gsub('"[^"]*"', ""):gsub("[%w_]+%??:", ""):gmatch("[%a_][%w_.]*") do
          assert.is_true(builtin[word] or types.classes[word] ~= nil
            or types.aliases[word] ~= nil, name .. ": " .. word)
        end
      end
      assert.are.equal(fn.list, table.concat(list, ", "), name)
    end
  end)

  it("have each declared option, and no other", function()
    local declared = {}
    for name, rows in options.each() do declared[name] = rows end
    for _, row in ipairs(core.endpoints()) do
      declared["px." .. row.name] = options.of_endpoint(row)
    end
    for name, rows in pairs(declared) do
      local class = types.classes[name:gsub("^px%.", "px.options.")]
      assert.is_table(class, name)
      local left = {}
      for field in pairs(class.fields) do left[field] = true end
      for _, row in ipairs(rows) do
        if row.where ~= "path" then
          assert.is_true(left[row[1]], name .. ": " .. row[1])
          left[row[1]] = nil
        end
      end
      assert.is_nil(next(left), name)
    end
    for class in pairs(types.classes) do
      local name = class:match("^px%.options%.(.+)$")
      assert.is_true(name == nil or declared["px." .. name] ~= nil, class)
    end
  end)

  it("have each kind of error, and no other", function()
    assert.are.same(core.error.kinds(), types.aliases["px.error_kind"])
  end)

  it("have the fields of the API's records", function()
    for _, row in ipairs(core.endpoints()) do
      for _, field in ipairs(row.record and row.fields or {}) do
        assert.is_string(types.classes["px." .. row.record].fields[field.name], row.record)
      end
    end
  end)

  -- Values of the records: a field that a value has is declared, and one that is declared as always
  -- there is there.
  it("have the fields that values have", function()
    local result = program.run({ "--sandbox", "--limits", "off", "--spend", "100", "-" },
      { stdin = [[
      local seen = {}
      local function add(class, value)
        local list = {}
        for name in pairs(value) do if type(name) == "string" then list[#list + 1] = name end end
        seen[class] = seen[class] or {}
        table.insert(seen[class], list)
      end
      local order = px.orders.create{ type = "isp", quantity = 2, period = 30, key = "a" }
      local proxies = px.orders.wait(order.id)
      add("order", order)
      add("proxy", proxies[1])
      add("account", px.account.get())
      add("transaction", px.account.transactions()[1])
      add("limits", px.limits())
      add("limit", px.limits().general)
      add("sandbox", px.sandbox())
      add("deposit", px.deposits.request{ currency = "USDT", network = "TRC20" })
      for entry in px.journal.each() do add("journal_entry", entry) end
      add("journal_entry", px.journal.get("a"))
      local summary = px.check.run(proxies, { each = function(result) add("check_result", result) end })
      add("check_summary", summary)
      px.check.run({ "http://127.0.0.1:1" }, { each = function(result) add("check_result", result) end })
      for record in px.check.each_history() do add("proxy_history", record) end
      local pool = px.pool(proxies)
      px.http.get(px.sandbox().trace_url, { proxy = pool })
      add("pool_stats", pool:stats())
      add("pool_proxy", pool:stats().proxies[1])
      local gateway = px.gateway{ proxies = proxies, listen = "127.0.0.1:0" }
      add("gateway_stats", gateway:stats())
      add("gateway_proxy", gateway:stats().proxies[1])
      gateway:stop()
      gateway:join()
      add("exec_result", px.exec("true"))
      add("format", px.export.formats()[1])
      add("url", px.url.parse("http://a:b@c.x:1/d?e=f#g"))
      local plan = px.fleet.plan{ { name = "v6", type = "ipv6", quantity = 1 } }
      add("plan", plan)
      add("plan_pool", plan.pools[1])
      add("plan_action", plan.pools[1].actions[1])
      add("apply_report", px.fleet.apply(plan))
      add("renew_report", px.renew{ within = "1h" })
      local report = px.report.build()
      add("report", report)
      add("report_row", report.by.type[1])
      add("status", px.status())
      add("alert", px.alerts{ balance = 1000000 }[1])
      io.write(px.json.encode(seen))
    ]] })
    assert.are.equal("", result.err)
    local fields = core.json.decode(result.out)
    local absent = { error = true, response = true, gateway = true, pool_wish = true, rise = true,
      quote = true, address = true }
    local faults = {}
    for class, values in pairs(fields) do
      local declared = types.classes["px." .. class].fields
      for _, list in ipairs(values) do
        local has = {}
        for _, name in ipairs(list) do
          has[name] = true
          if not declared[name] then faults[class .. "." .. name .. " is not declared"] = true end
        end
        for line in text:match("@class px%." .. class .. "\n(.-)\n\n"):gmatch("[^\n]+") do
          local name = line:match("^%-%-%-@field ([%w_]+) ")
          if name and not has[name] then faults[class .. "." .. name .. " may be absent"] = true end
        end
      end
    end
    assert.are.same({}, faults)
    for class in pairs(types.classes) do
      local name = class:match("^px%.([%a_]+)$")
      local has_fields = name and next(types.classes[class].fields) and not class:find("options")
      assert.is_true(not has_fields or fields[name] ~= nil or absent[name] or false, class)
    end
  end)
end)

describe("proxylua init", function()
  local folder

  before_each(function() folder = program.folder() end)
  after_each(function() program.remove(folder) end)

  local function run() return program.run({ "init" }, { cwd = folder, home = folder }) end

  it("writes a .luarc.json that names a folder with the types", function()
    local result = run()
    assert.are.equal(0, result.code, result.err)
    local settings = core.json.decode(program.read(folder .. "/.luarc.json"))
    assert.are.equal("Lua 5.4", settings["runtime.version"])
    local types = program.read(settings["workspace.library"][1] .. "/proxylua.lua")
    assert.are.equal(program.run({ "types" }).out, types)
  end)

  it("leaves a .luarc.json that exists as it is", function()
    program.write(folder .. "/.luarc.json", "{}")
    local result = run()
    assert.are.equal(2, result.code)
    assert.has.match("exists already; add the folder", result.err, 1, true)
    assert.are.equal("{}", program.read(folder .. "/.luarc.json"))
  end)
end)

describe("lua-language-server", function()
  local pipe = assert(io.popen("command -v lua-language-server"))
  local path = pipe:read("l")
  pipe:close()
  if not path then
    pending("is not installed (Debian has no package of it): it would check the types itself")
    return
  end
  it("finds no fault with the types", function()
    local folder = program.folder()
    program.write(folder .. "/proxylua.lua", program.run({ "types" }).out)
    assert(os.execute(("lua-language-server --check %s --checklevel=Error"):format(folder)))
    program.remove(folder)
  end)
end)
