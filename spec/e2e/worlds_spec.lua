-- In short what `make check-worlds` does for an hour: random worlds, judged by the ledger of an
-- emulated API that shares nothing with the program.

local program = require "spec.support.program"

describe("the program in random worlds", function()
  it("buys each key once, spends what it reports, and knows in the end what became of each charge",
    function()
      local pipe = assert(io.popen(("perl spec/support/worlds/run.pl worlds=20 seed=1 shrink=0 "
        .. "program=%s 2>&1"):format(program.quote(program.path))))
      local text = pipe:read("a")
      assert.is_true(pipe:close() or false, text)
      assert.is_truthy(text:find("^20 worlds from seed 1: .* 0 failed"), text)
    end)
end)
