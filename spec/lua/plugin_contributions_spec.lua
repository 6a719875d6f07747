-- What plugins add to px.export and px.check: formats and rules, which run in their processes.

local plugins = require "spec.support.plugins"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local manifest = [[
  formats = {
    hosts = { run = "lib.lines.hosts", summary = "host and number", extension = "lst" },
    picky = { run = "lib.lines.picky", summary = "of some only" }, wild = { run = "lib.lines.wild", summary = "of none" },
    broken = { run = "lib.lines.broken", summary = "raises" },
  },
  rules = { marked = { run = "is_marked", summary = "not everybody" } }]]

local main = [[
local M = {}
function M.is_marked(result, answer)
  assert(answer.ok and answer.status == 200 and answer.body:find("ip=" .. result.ip, 1, true))
  assert(type(answer.headers) == "table" and result.time > 0)
  if result.ip == "127.1.0.1" then return true end
  result.reason = "changed"
  return result.ip == "127.1.0.2" and "is told"
end
return M]]

local lines = [[
local M = {}
function M.hosts(proxy, number) return number .. " " .. proxy.host .. ":" .. proxy.port .. " " .. tostring(proxy.password) end
function M.picky(proxy) if proxy.port ~= 700 then return "fine" end return nil, "700 is no port" end
function M.wild(proxy)
  return proxy.port == 1 and { "no line" } or proxy.port == 2 and "\27[31m" or proxy.port == 3 and "\xC2\x9B1m" or "\xFF"
end
function M.broken() error("no idea") end
return M]]

local home

local function install()
  home = plugins.home()
  home:install("adder",
    { manifest = manifest, files = { ["main.lua"] = main, ["lib/lines.lua"] = lines } })
end

after_each(function() home:remove() end)

describe("a format of a plugin", function()
  -- Exports so many proxies, whose ports count them.
  local function export(count, format, ...)
    local list = {}
    for at = 1, count do list[at] = ("http://u:p%d@10.0.0.1:%d\n"):format(at, at) end
    program.write(home.path .. "/list.txt", table.concat(list))
    return home:run("export", "--from", "list.txt", "--format", format, ...)
  end

  it("writes what is exported, however many", function()
    install()
    for _, count in ipairs{ 0, 1, 256, 257, 1000 } do
      local expected = {}
      for at = 1, count do expected[at] = ("%d 10.0.0.1:%d p%d\n"):format(at, at, at) end
      local result = export(count, "hosts")
      assert.are.equal(table.concat(expected), result.out, result.err)
    end
    assert.are.equal(0, export(3, "hosts", "-o", "out.lst").code)
    assert.are.equal("1 10.0.0.1:1 p1\n2 10.0.0.1:2 p2\n3 10.0.0.1:3 p3\n",
      program.read(home.path .. "/out.lst"))
  end)

  it("says which proxy it cannot write, and leaves the file as it was", function()
    install()
    program.write(home.path .. "/out", "before")
    local result = export(1000, "picky", "-o", "out")
    assert.are.equal(2, result.code)
    assert.matches("proxy 700 (10.0.0.1:700) cannot be written as picky: 700 is no port",
      result.err, 1, true)
    assert.are.equal("before", program.read(home.path .. "/out"))
  end)

  it("returns lines of plain text, or raises", function()
    install()
    for port = 1, 4 do
      program.write(home.path .. "/one.txt", "10.0.0.1:" .. port)
      local result = home:run("export", "--from", "one.txt", "--format", "wild")
      assert.matches("the plugin adder did not return a line of plain text", result.err, 1, true)
      assert.are.equal("", result.out)
    end
    assert.matches("plugin adder: adder/lib/lines.lua:7: no idea", export(1, "broken").err, 1, true)
  end)

  it("is listed, suggested and shown by info, and is removed with the plugin", function()
    install()
    assert.matches("hosts", home:run("export", "--help").out, 1, true)
    assert.matches("no format hosst, did you mean hosts?", export(1, "hosst").err, 1, true)
    assert.matches("see the passwords in them",
      home:run("plugin", "info", "adder").out, 1, true)
    assert.matches("proxylua export --format hosts: host and number",
      home:run("plugin", "info", "adder").out, 1, true)
    assert.are.equal("lst\n", home:run("-e", [[
      for _, format in ipairs(require("proxylua").export.formats()) do
        if format.name == "hosts" then print(format.extension) end
      end]]).out)
    assert.are.equal(0, home:run("plugin", "remove", "adder").code)
    assert.matches("there is no format hosts", export(1, "hosts").err, 1, true)
  end)

  it("cannot replace another plugin's, and needs a new confirmation when an update adds "
    .. "it", function()
    install()
    local other = home:write("other",
      { manifest = "formats = { hosts = { run = 'f', summary = 's' } }" })
    assert.matches("the format hosts belongs to the plugin adder already",
      home:run("plugin", "install", other, "--yes").err, 1, true)
    other = home:write("other", { manifest = "rules = { marked = { run = 'f', summary = 's' } }" })
    assert.matches("the rule marked belongs to the plugin adder already",
      home:run("plugin", "install", other, "--yes").err, 1, true)
    assert.is_nil(home:list().other)
    home:install("third")
    home:write("third", { version = "1.1.0",
      manifest = "rules = { mine = { run = 'f', summary = 's' } }" })
    local result = home:run("plugin", "update", "third")
    assert.matches("apply the rule mine to every check", result.err, 1, true)
    assert.matches("cannot ask for confirmation", result.err, 1, true)
  end)
end)

describe("a rule of a plugin", function()
  local sandbox
  before_each(function() sandbox = sandboxes.start() end)
  after_each(function() sandbox:stop() end)

  -- What px.check.run says of so many proxies, by the address that each is seen with.
  local function reasons(count)
    home.env = {
      PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key, PROXYLUA_LIMITS = "off",
        PROXYLUA_SPEND = "100",
    }
    return home:run("-e", ([[
      local px = require "proxylua"
      local proxies = px.orders.wait(px.orders.create{ type = "isp", quantity = %d, country = "US", key = "added" }.id)
      local lines = {}
      local summary = px.check.run(proxies, { url = %q, concurrency = 1, each = function(result)
        lines[#lines + 1] = result.ip .. " " .. tostring(result.reason) .. ":" .. tostring(result.message)
      end })
      table.sort(lines)
      print(table.concat(lines, ", "), summary.works)]]):format(count or 3, sandbox.trace_url))
  end

  it("checks every proxy that responds, and changes nothing else", function()
    install()
    local result = reasons()
    assert.are.equal("127.1.0.1 marked:nil, 127.1.0.2 marked:is told, 127.1.0.3 nil:nil\t1\n",
      result.out, result.err)
  end)

  it("says why in a text that a terminal can only show", function()
    local answers = { "'\\27[31m'", "('x'):rep(201)", "{}", "'\\xC2\\x9B1m'", "'\\xFF'", "false",
      "'é'" }
    local rule =
      "local at = 0 return { is_marked = function() at = at + 1 return (select(at, %s)) end }"
    home = plugins.home()
    home:install("adder", { manifest = manifest, files = {
      ["main.lua"] = rule:format(table.concat(answers, ", ")), ["lib/lines.lua"] = lines,
    } })
    local said = reasons(#answers)
    assert.are.equal(
      "marked:?[31m, marked:nil, marked:nil, marked:?1m, marked:?, nil:nil, marked:é\t1\n",
      (said.out:gsub("127%.1%.0%.%d ", "")), said.err)
  end)

  it("that fails passes no proxy, is reported, and is left out in the end", function()
    home = plugins.home()
    home:install("adder", { manifest = manifest, files = {
      ["main.lua"] = "return { is_marked = function(result) if result.ip < '127.1.0.5' then "
        .. "error('no idea') end end }",
      ["lib/lines.lua"] = lines,
    } })
    local said = reasons(6)
    local failed = "marked:plugin adder: adder/main.lua:1: no idea, "
    assert.are.equal(failed:rep(3) .. "nil:nil, nil:nil, nil:nil\t3\n",
      (said.out:gsub("127%.1%.0%.%d ", "")), said.err)
    local told = "proxylua: the rule marked failed: plugin adder: adder/main.lua:1: no idea\n"
    assert.are.equal(told:rep(2)
      .. "proxylua: the rule marked is skipped: it failed repeatedly\n" .. told,
      said.err)
  end)

  it("that cannot be called does not stop the check", function()
    install()
    program.write(home:place("adder") .. "/main.lua", "return {}")
    local said = reasons(4)
    assert.are.equal(0, said.code)
    assert.matches("the plugin adder has changed since its installation: main.lua was "
      .. "changed", said.err, 1,
      true)
    program.write(home:installed("lock.json"), "{")
    said = reasons(4)
    assert.matches("\t4\n$", said.out)
    assert.matches("the rules of plugins are skipped: config: the list of plugins", said.err, 1,
      true)
  end)
end)
