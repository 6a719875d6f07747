local core = require "proxylua.core"
local program = require "spec.support.program"
local px = require "proxylua"

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  pipe:close()
  return text
end

local function error_of(fn, ...)
  local _, err = px.try(fn, ...)
  assert.is_true(px.error.is(err))
  return err
end

describe("px.files", function()
  local folder
  before_each(function() folder = program.folder() end)
  after_each(function() program.remove(folder) end)

  local function mode_of(name)
    return output_of("stat -c %a " .. program.quote(folder .. "/" .. name))
  end

  it("returns what was written, byte for byte", function()
    for _, text in ipairs{ "", "\0\r\n\xFF", ("x"):rep(3000000) } do
      px.files.write(folder .. "/f", text)
      assert.is_true(text == px.files.read(folder .. "/f"))
    end
    assert.are.equal("f\n", output_of("ls -A " .. program.quote(folder)))
  end)

  it("writes files that only the owner can read, and keeps the mode of those that are there",
    function()
      px.files.write(folder .. "/new", "1")
      assert.are.equal("600\n", mode_of("new"))
      program.write(folder .. "/old", "1")
      assert(os.execute("chmod 664 " .. program.quote(folder .. "/old")))
      px.files.write(folder .. "/old", "2")
      assert.are.equal("664\n", mode_of("old"))
      assert.are.equal("2", program.read(folder .. "/old"))
    end)

  it("knows your home, and files in the working directory", function()
    local result = program.run({ "-e", [[
      px.files.write("~/x", "1") px.files.write("-", "2")
      print(px.files.read("~/x"), px.files.read("-"))]] }, { home = folder, cwd = folder })
    assert.are.equal("", result.err)
    assert.are.equal("1\t2\n", result.out)
    assert.are.equal("2", program.read(folder .. "/-"))
  end)

  it("raises the errors that plugins get", function()
    assert.are.equal("not_found", error_of(px.files.read, folder .. "/none").kind)
    assert.are.equal("not_found", error_of(px.files.read, folder .. "/none/f").kind)
    assert.are.equal("not_found", error_of(px.files.write, folder .. "/none/f", "1").kind)
    assert.are.equal("store", error_of(px.files.read, folder).kind)
    assert.are.equal("usage", error_of(px.files.write, folder, "1").kind)
    for _, path in ipairs{ "", "a\0b", {}, 5 } do
      assert.are.equal("usage", error_of(px.files.read, path).kind)
      assert.are.equal("usage", error_of(px.files.write, path, "1").kind)
    end
    assert.are.equal("px.files.write: the content must be a text, got a table",
      error_of(px.files.write, folder .. "/f", {}).message)
    assert.is_nil(core.system.real_path(folder .. "/f"))
  end)

  it("leaves a file as it was when the new one cannot be written", function()
    local code = [[px.files.write("f", "old")
      print(select(2, px.try(px.files.write, "f", ("x"):rep(200000))).kind, px.files.read("f"))]]
    local result = program.run({ "sh", "-c", "trap '' XFSZ; ulimit -f 64; exec "
      .. program.command(folder, { "-e", code }) }, { cwd = folder, program = "env" })
    assert.are.equal("store\told\n", result.out, result.err)
  end)
end)
