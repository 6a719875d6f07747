-- px.env and px.exec in scripts.

local program = require "spec.support.program"
local px = require "proxylua"

local function refused(kind, fn, ...)
  local result, err = px.try(fn, ...)
  assert.is_nil(result)
  assert.are.equal(kind, err.kind)
  return err.message
end

describe("px.exec", function()
  it("passes arguments as they are, without a shell", function()
    local result = px.exec("printf", { "%s|", "a b", "$HOME", "*", 5 })
    assert.are.same({ code = 0, output = "a b|$HOME|*|5|" }, result)
  end)

  it("passes the environment of the script, without the API key", function()
    local run = program.run({ "-e", "io.write(px.exec('env').output)" },
      { env = { SOME_NAME = "its value", PROXYLUA_API_KEY = "secret-key-1234567890" } })
    assert.are.equal("", run.err)
    assert.has.match("SOME_NAME=its value\n", run.out, 1, true)
    assert.is_nil(run.out:find("secret", 1, true))
  end)

  it("returns the exit code, also of a program that a signal ended", function()
    assert.are.equal(3, px.exec("sh", { "-c", "exit 3" }).code)
    assert.are.equal(128 + 9, px.exec("sh", { "-c", "kill -9 $$" }).code)
  end)

  it("lets other tasks run, and ends a program that takes too long", function()
    local looks = 0
    local task = px.every("1ms", function() looks = looks + 1 end)
    assert.has.match("too long", refused("timeout", px.exec, "sleep", { "60" },
      { timeout = "50ms" }))
    task:cancel()
    assert.is_true(looks > 0)
  end)

  it("refuses programs that do not exist, and arguments that are not texts", function()
    assert.has.match("no program no-such-program", refused("not_found", px.exec,
      "no-such-program"), 1, true)
    assert.has.match("argument 2 must be a string, got a table", refused("usage", px.exec, "true",
      { "a", {} }))
    refused("usage", px.exec)
    refused("usage", px.exec, "")
    refused("usage", px.exec, "true", "a")
  end)
end)

describe("px.env", function()
  it("returns a variable, and nil without one", function()
    assert.are.equal(os.getenv("PATH"), px.env("PATH"))
    assert.is_nil(px.env("NO_SUCH_VARIABLE"))
    refused("usage", px.env)
  end)
end)

describe("prices in reference data", function()
  it("are money", function()
    local run = program.run({ "--sandbox", "-e",
      "for _, row in ipairs(px.reference.proxy_types()) do print(px.money.is(row.price)) end" })
    assert.are.equal("", run.err)
    assert.has.match("^true\n", run.out)
    assert.is_nil(run.out:find("false", 1, true))
  end)
end)

describe("a format", function()
  it("is registered once", function()
    local function line() return "x" end
    px.export.register("mine", line)
    assert.has.match("there is a format mine already", refused("usage", px.export.register, "mine",
      line))
    assert.has.match("there is a format url already", refused("usage", px.export.register, "url",
      line))
    assert.has.match("there is a format mihomo already", refused("usage", px.export.register,
      "mihomo", line))
  end)
end)
