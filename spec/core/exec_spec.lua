-- src/bind/plugin/exec.c and src/base/child.c: programs that the runtime starts.

local program = require "spec.support.program"

describe("a program that is executed", function()
  it("returns its exit code and output when the parent process ignores SIGCHLD", function()
    local code = [[
      local core = require "proxylua.core"
      print(core.plugin.exec("/bin/sh", { "sh", "-c", "printf text; exit 3" }, {}, 30))
      print(core.plugin.exec("/bin/sh", { "sh", "-c", "kill -TERM $$" }, {}, 30))
      print(os.execute("exit 4"))]]
    local result = program.run({ "-e", "$SIG{CHLD} = 'IGNORE'; exec @ARGV", program.path, "-e",
      code }, { program = "perl" })
    assert.are.equal("3\ttext\n143\t\nnil\texit\t4\n", result.out, result.err)
  end)
end)
