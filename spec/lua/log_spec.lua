local plugins = require "spec.support.plugins"
local program = require "spec.support.program"

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
