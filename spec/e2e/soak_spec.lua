-- Long runs of each kind of work (SOAK=1: whole, SOAK=0.1: a tenth of it): the size of the process
-- stays what it was after the second tenth. Prints the sizes.

local core = require "proxylua.core"
local sandboxes = require "spec.support.sandbox"

local scale = tonumber(os.getenv "SOAK")

describe("the size of a long run", function()
  if not scale then
    pending("is measured by make check-soak, which takes minutes")
    return
  end
  local sandbox
  setup(function() sandbox = sandboxes.start() end)
  teardown(function() sandbox:stop() end)

  for work, count in pairs{ tasks = 1000000, checks = 200000, calls = 100000,
    plugin_calls = 10000, ticks = 720000 } do
    it(("is that of its second tenth after %d %s"):format(count * scale // 1, work), function()
      local size = ("%d"):format(count * scale // 1)
      local result = sandbox:run({ "spec/support/soak.lua", work, size },
        { cwd = ".", env = { SOAK_TRACE_URL = sandbox.trace_url } })
      assert.same({ 0, "" }, { result.code, result.code ~= 0 and result.err or "" })
      io.write(result.err)
      local sizes = core.json.decode(result.out)
      assert.is_true(sizes.late <= sizes.early * 1.02, result.err)
    end)
  end
end)
