-- Lists that C functions read: their length is the table's own, `__len` or not, and bounded.

local core = require "proxylua.core"
local program = require "spec.support.program"
local px = require "proxylua"

-- Each reads a list, which may be empty.
local readers = {
  ["the arguments of a program"] = function(list) core.plugin.exec("/bin/true", list, {}, 30) end,
  ["the environment of a program"] = function(list) core.plugin.exec("/bin/true", {}, list, 30) end,
  ["the hidden paths of a plugin"] = function(list)
    core.plugin.read_confined("/", "etc/hostname", list, 1000)
  end,
  ["the names of notes"] = function(list) core.notes.get(false, "kind", list) end,
  ["the names of notes to write"] = function(list)
    core.notes.put(false, "kind", list, {}, false)
  end,
  ["the tasks of a wait"] = function(list) core.task.gather(list) end,
}

-- A table whose length is found by doubling to be 2^62, although it has 63 items.
local function huge()
  local list = {}
  for power = 0, 62 do list[1 << power] = "x" end
  return list
end

describe("a list that a C function reads", function()
  it("has the table's own length, for any __len", function()
    for what, read in pairs(readers) do
      for _, length in ipairs{ -1, -2, math.mininteger, 1 << 40, math.maxinteger } do
        local list = setmetatable({}, { __len = function() return length end })
        local ok, err = pcall(read, list)
        assert.is_true(ok, ("%s: %s"):format(what, err))
      end
    end
  end)

  it("is refused when it is too long or holds something else", function()
    for what, read in pairs(readers) do
      for _, list in ipairs{ huge(), { {} }, { 1 }, { false } } do
        local ok, err = pcall(read, list)
        assert.is_false(ok, what)
        assert.is_true(not px.error.is(err) or err.kind == "usage", tostring(err))
      end
    end
  end)

  it("may be changed while notes are written", function()
    local result = program.run{ "-e", [[
      local px, core = require "proxylua", require "proxylua.core"
      local names, texts = {}, {}
      for i = 1, 2000 do names[i], texts[i] = ("name %d"):format(i), ("text %d"):format(i) end
      local task = px.spawn(core.notes.put, false, "kind", names, texts, false)
      px.spawn(function()
        for i = 1, 2000 do names[i], texts[i] = nil, nil end
        collectgarbage()
        for i = 1, 20000 do names[i] = ("other %d"):format(i) end
      end)
      task:join()
      local found, same = core.notes.list(false, "kind", ""), true
      for _, name in ipairs(found) do same = same and name:find("^name %d+$") ~= nil end
      print(#found, same)]] }
    assert.are.equal("500\ttrue\n", result.out, result.err)
  end)
end)
