local program = require "spec.support.program"

-- The output of a run of the program with a non-blocking stream.
local function run(stream, ...)
  local words = { "perl", "spec/support/nonblocking.pl", stream, program.path, ... }
  for at, word in ipairs(words) do words[at] = program.quote(word) end
  local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1"))
  local output = pipe:read("a")
  local _, _, code = pipe:close()
  return output, code
end

describe("a non-blocking standard stream", function()
  local LINE = ("x"):rep(50)

  it("takes all that print, io.write and file:write put into it", function()
    for _, call in ipairs{ "print(line)", 'io.write(line, "\\n")', 'io.stdout:write(line, "\\n")',
      "require'proxylua.core'.system.write(line, '\\n')" } do
      local output, code = run("output", "-e",
        ("local line = %q for _ = 1, 5000 do %s end"):format(LINE, call))
      assert.are.equal("255000\n", output, call)
      assert.are.equal(0, code)
    end
  end)

  it("takes one long text", function()
    assert.are.equal("1000000\n", (run("output", "-e", "io.write(('x'):rep(1000000))")))
  end)

  it("takes all that goes to standard error", function()
    assert.are.equal("255000\n", (run("error", "-e",
      ('for _ = 1, 5000 do io.stderr:write(%q, "\\n") end'):format(LINE))))
  end)

  it("is read to its end", function()
    for _, code in ipairs{ "for line in io.lines() do print(line) end",
      "io.write(io.read('L')) io.write(io.read('L'))", "io.write(io.read('a'))" } do
      local output, exit = run("input", "-e", code)
      assert.are.equal("one\ntwo\n", output, code)
      assert.are.equal(0, exit)
    end
  end)

  it("is read as a script", function()
    assert.matches("stdin:2: syntax error near 'two'", (run("input", "-")), 1, true)
  end)
end)

describe("a standard stream", function()
  it("keeps its descriptor's position", function()
    local folder = program.folder()
    local path = program.write(folder .. "/out", "first\n")
    assert(os.execute(("%s -e 'io.write(io.stdout:seek(\"cur\"), \"\\n\")' >>%s"):format(
      program.quote(program.path), program.quote(path))))
    assert.matches("^first\n%d\n$", program.read(path))
  end)
end)
