local core = require "proxylua.core"
local program = require "spec.support.program"

local load = core.data.load

local function failure(...)
  local ok, err = pcall(load, ...)
  assert.is_false(ok)
  assert.is_true(core.error.is(err), tostring(err))
  assert.are.equal("config", err.kind)
  return err.message
end

-- Few instructions: each compares texts of 2 MiB.
local slow = [[
  local s = "x" for _ = 1, 21 do s = s .. s end
  local a, b = s .. "a", s .. "b"
  for _ = 1, 1e6 do local _ = a < b end
  return {}]]

describe("text as data", function()
  it("returns the table by value", function()
    local text = [[
      local base = 2
      return { name = "x", list = { 1, 2.5, true, [10] = false }, sum = base + 40, nested = { deep = { [-1] = "y" } } }
    ]]
    assert.are.same({
      name = "x", list = { 1, 2.5, true, [10] = false }, sum = 42,
        nested = { deep = { [-1] = "y" } },
    }, load(text, "@file"))
    assert.are.equal("integer", math.type(load("return { 3 }", "@f")[1]))
    assert.are.equal("float", math.type(load("return { 3.0 }", "@f")[1]))
    assert.are.equal("a\0b", load("return { 'a\\0b' }", "@f")[1])
  end)

  it("copies a table that two fields share twice", function()
    local answer = load("local t = { 1 } return { t, t }", "@f")
    assert.are.same({ { 1 }, { 1 } }, answer)
    assert.are_not.equal(answer[1], answer[2])
  end)

  it("has nothing to call", function()
    for _, name in ipairs{ "os", "io", "require", "load", "print", "string", "pairs",
      "setmetatable", "_G" } do
      assert.has.match("global '" .. name .. "'.*no functions",
        failure("return { " .. name .. ".x }", "@conf.lua"))
    end
    assert.has.match("conf.lua:2:", failure("local s = 'x'\nreturn { s:rep(10) }", "@conf.lua"))
  end)

  it("cannot reach the caller's globals", function()
    load("leaked = true return {}", "@f")
    assert.is_nil(rawget(_G, "leaked"))
  end)

  it("says where a syntax error is", function()
    assert.has.match("conf.lua:2:.*near", failure("return {\n a = = 1 }", "@conf.lua"))
  end)

  it("wants a table", function()
    assert.has.match("conf.lua: must return a table", failure("base_url = 'x'", "@conf.lua"))
    assert.has.match("must return a table", failure("return 'x'", "@conf.lua"))
    assert.has.match("must return a table", failure("", "@conf.lua"))
  end)

  it("refuses bytecode", function()
    assert.has.match("compiled", failure(string.dump(function() return {} end), "@f"))
  end)

  it("names the field that is not data", function()
    local nested = "return { spend = { per_run = function() end } }"
    assert.has.match("the field spend%.per_run is a function", failure(nested, "@f"))
    assert.has.match("the field %[2%] is a function", failure("return { 1, function() end }", "@f"))
    assert.has.match("the field list has a key", failure("return { list = { [1.5] = 1 } }", "@f"))
  end)

  it("finds cycles and deep nesting", function()
    assert.has.match("the field a%.b contains itself",
      failure("local t = {} t.a = { b = t } return t", "@f"))
    local deep = "return " .. ("{"):rep(40) .. ("}"):rep(40)
    assert.has.match("nested too deeply", failure(deep, "@f"))
    assert.is_table(load(deep, "@f", { depth = 40 }))
    assert.has.match("nested too deeply", failure(deep, "@f", { depth = 39 }))
    assert.is_string(failure("return " .. ("{"):rep(100000), "@f"))
  end)

  it("ends an infinite loop", function()
    assert.has.match("f:1: computes for too long", failure("while true do end", "@f"))
    assert.has.match("too long", failure("local function f() return f() end return f()", "@f"))
    assert.has.match("too much memory", failure("local function f() return 1 + f() end return f()",
      "@f"))
  end)

  it("ends a few instructions that take long, each of them", function()
    assert.has.match("computes for too long", failure(slow, "@f"))
  end)

  it("ends with the program", function()
    local home = program.folder()
    finally(function() program.remove(home) end)
    assert(os.execute("mkdir -p " .. home .. "/config/proxylua"))
    program.write(home .. "/config/proxylua/config.lua", slow)
    local line = program.command(home, { "-e", "" })
    -- 20 ticks of processor time: it reads the file by then
    local pipe = io.popen(line .. [[ 2>&1 & set -- ; until [ "${14:-0}" -ge 20 ]; do
      read -r stat 2>/dev/null </proc/$!/stat || break; set -- $stat
      done; kill -TERM $!; wait $!; echo $?]])
    local out = pipe:read("a")
    pipe:close()
    assert.has.match("130\n$", out)
  end)

  it("bounds memory", function()
    assert.has.match("too much memory", failure("local s = 'xxxxxxxx' while true do s = s .. s end",
      "@f"))
    assert.has.match("too much memory", failure("local t = {} for i = 1, 1e9 do t[i] = { t } end",
      "@f"))
    assert.has.match("too much memory", failure("return {}", "@f", { memory = 100 }))
  end)

  it("bounds what is copied", function()
    local doubled = { "local t = {}" }
    for _ = 1, 25 do doubled[#doubled + 1] = "t = { t, t }" end
    assert.has.match("too many values", failure(table.concat(doubled, "\n") .. "\nreturn t", "@f"))
    local long = "local s = 'xxxxxxxx' for _ = 1, 17 do s = s .. s end "
      .. "local t = {} for i = 1, 1000 do t[i] = s end return t"
    assert.has.match("too many bytes", failure(long, "@f"))
  end)

  it("leaves nothing behind when it fails often", function()
    for _ = 1, 200 do
      failure("local t = {} for i = 1, 1000 do t[i] = {} end return { f = function() end, t = t }",
        "@f")
    end
    collectgarbage()
  end)

  it("checks its own arguments", function()
    assert.is_false(pcall(load))
    assert.is_false(pcall(load, "return {}"))
    assert.is_false(pcall(load, "return {}", "@f", { depth = 0 }))
    assert.is_false(pcall(load, "return {}", "@f", { depth = "x" }))
  end)
end)
