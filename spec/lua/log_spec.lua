local plugins = require "spec.support.plugins"
local program = require "spec.support.program"
local px = require "proxylua"

local code = [[px.log.debug("a", 1) px.log.info("b", nil) px.log.warn("c\nd\27[31m")
  px.log.error(px.error.new{ kind = "funds", message = "no money" }) print("data")]]

local shown = {
  [""] = "b\tnil\nwarning: c\nd?[31m\nerror: funds: no money\n",
  ["--verbose"] = "debug: a\t1\nb\tnil\nwarning: c\nd?[31m\nerror: funds: no money\n",
  ["--quiet"] = "error: funds: no money\n",
}

describe("px.log", function()
  for flag, text in pairs(shown) do
    it("prints to standard error by level " .. (flag == "" and "by default" or "with " .. flag),
      function()
        local arguments = { "-e", code }
        if flag ~= "" then table.insert(arguments, 1, flag) end
        local result = program.run(arguments)
        assert.are.equal(text, (result.err:gsub("no money[^\n]*", "no money")))
        assert.are.equal("data\n", result.out)
        assert.are.equal(0, result.code)
      end)
  end

  it("prints an object a line with --log-format json", function()
    local result = program.run{ "--log-format", "json", "--verbose", "-e",
      'px.log.debug("a", 1) px.log.warn("c\\nd\\27[31m\\xFF")' }
    local lines = {}
    for line in result.err:gmatch("[^\n]+") do lines[#lines + 1] = px.json.decode(line) end
    assert.are.equal(2, #lines)
    assert.are.same({ "debug", "a\t1" }, { lines[1].level, lines[1].message })
    assert.are.equal("warn", lines[2].level)
    assert.has.match("^c\nd\27", lines[2].message)
    assert.is_true(math.abs(px.time(lines[1].time) - px.time()) < 3600)
    assert.is_nil(result.err:find("\27", 1, true))
  end)

  it("refuses another format", function()
    local result = program.run{ "--log-format", "jsn", "-e", "" }
    assert.are.equal(2, result.code)
    assert.has.match("--log-format must be text or json, got jsn, did you mean json?", result.err,
      1, true)
  end)

  it("names the plugin in the objects of its messages", function()
    local home = plugins.home()
    home:install("trial", { files = { ["main.lua"] = [[local px = require "proxylua"
      return { go = function() px.log.info("one\ntwo") end }]] },
      manifest = [[commands = { go = { run = "go", summary = "logs" } }]] })
    local line = px.json.decode(home:run("--log-format", "json", "trial", "go").err)
    assert.are.same({ "trial", "info", "one\ntwo" }, { line.plugin, line.level, line.message })
    home:remove()
  end)

  it("has the same levels in plugins, in which each line has the plugin's name", function()
    local home = plugins.home()
    local main = ([[local px = require "proxylua"
      return { go = function() %s end }]]):format(code)
    home:install("trial", { files = { ["main.lua"] = main },
      manifest = [[commands = { go = { run = "go", summary = "logs" } }]] })
    for flag, lines in pairs(shown) do
      local result = home:run("trial", "go", flag ~= "" and flag or nil)
      local text = result.err:gsub("no money[^\n]*", "no money")
      assert.are.equal((lines:gsub("[^\n]+", "proxylua: trial: %0")), text)
      assert.are.equal("data\n", result.out)
    end
    home:remove()
  end)
end)
