-- px.plugin: the functions of what is installed.

local program = require "spec.support.program"

local home

local manifest = [[return { name = "counter", version = "1.0.0", description = "counts", requires = ">=0.1",
  permissions = { env = { "GREETING" } }, on = { check_failed = "failed" } }]]

local main = [[
local px = require "proxylua"
local M, count = {}, 0
function M.count() count = count + 1 return count end
function M.greet(name) return px.env("GREETING") .. " " .. name end
local failures = {}
function M.failed(result)
  if px.env("GREETING") == "fail" then error("no") end
  failures[#failures + 1] = result.port .. " " .. result.reason
end
function M.failures() return table.concat(failures, ", ") end
function M.texts()
  local calls = 0
  local function fail_once()
    calls = calls + 1
    return calls > 1 or px.error.raise{ kind = "network", message = "no" }
  end
  return px.duration("3d"), px.date(0), px.retry(fail_once, { wait = 0 }),
    px.url.parse("http://h/?q=%41").params.q, px.sha256("abc"):sub(1, 8),
    px.csv.write(px.csv.read("a,b\n1,2\n"))
end
function M.spin() while true do end end
return M]]

local function run(...)
  return program.run({ ... }, { home = home, env = { GREETING = "hello" } })
end

-- What a script prints.
local function eval(code)
  local result = run("-e", 'local px = require "proxylua" ' .. code)
  assert.are.equal("", result.err)
  return result.out
end

describe("px.plugin", function()
  setup(function()
    home = program.folder()
    local folder = home .. "/source"
    assert(os.execute("mkdir " .. folder))
    program.write(folder .. "/plugin.lua", manifest)
    program.write(folder .. "/main.lua", main)
    local result = run("plugin", "install", folder, "--yes")
    assert.are.equal(0, result.code, result.err)
  end)
  teardown(function() program.remove(home) end)

  it("calls the functions of an installed plugin, in one process", function()
    assert.are.equal("1 2 3\nhello you\n", eval[[
      local counter = px.plugin("counter")
      print(counter.count() .. " " .. counter.count() .. " " .. px.plugin("counter").count())
      print(counter.greet("you"))]])
  end)

  it("lets it use the functions of px that need no permission", function()
    assert.are.equal("259200\t1970-01-01T00:00:00Z\ttrue\tA\tba7816bf\ta,b\r\n1,2\r\n\n",
      eval[[print(px.plugin("counter").texts())]])
  end)

  it("notifies the plugin of proxies that fail", function()
    assert.are.equal("1 refused, 2 refused\n", eval[[
      px.check.run({ "http://127.0.0.1:1", "http://127.0.0.1:2" },
        { url = "http://127.0.0.1:3", history = false, concurrency = 1 })
      print(px.plugin("counter").failures())]])
  end)

  it("leaves a plugin out after three failed notifications", function()
    local result = program.run({ "-e", [[
      local px, list = require "proxylua", {}
      for port = 1, 9 do list[port] = "http://127.0.0.1:" .. port end
      px.check.run(list, { url = "http://127.0.0.1:3", history = false })]] },
      { home = home, env = { GREETING = "fail" } })
    assert.are.equal(0, result.code, result.err)
    assert.are.equal(3, select(2, result.err:gsub("could not be notified of check_failed", "")))
    assert.matches("proxylua: the plugin counter is not notified again: it failed "
      .. "repeatedly\n", result.err, 1, true)
  end)

  it("starts it once for all tasks that need it at the same time", function()
    assert.are.equal("10\n", eval[[
      local counter = px.plugin("counter")
      local list = px.map({ 1, 2, 3, 4 }, counter.count)
      print(list[1] + list[2] + list[3] + list[4])]])
  end)

  it("starts it again when its process has ended", function()
    assert.are.equal("plugin_ended\n1\n", eval[[
      local counter = px.plugin("counter")
      local pid = require("proxylua.plugin.host.running").get("counter").process:pid()
      local task = px.spawn(counter.spin)
      px.sleep(0)
      os.execute("kill -KILL " .. pid)
      print(select(2, pcall(task.join, task)).code)
      print(counter.count())]])
  end)

  it("refuses what is not installed, and what has been changed", function()
    assert.are.equal("usage usage\n", eval[[
      print(select(2, px.try(px.plugin, "none")).kind .. " " .. select(2, px.try(px.plugin,
        5)).kind)]])
    assert(os.execute(
      ("find %s -path '*/counter/*' -name main.lua -exec sh -c 'echo >>\"$1\"' sh {} ';'"):format(
      home)))
    assert.are.equal("config true\n", eval[[
      local err = select(2, px.try(px.plugin, "counter"))
      print(err.kind .. " " .. tostring(err.message:find("main.lua", 1, true) ~= nil)) ]])
  end)
end)
