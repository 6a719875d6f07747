-- src/charge/journal_*.c: the jobs of the journal do the same on both stores.

local jobs = require "spec.support.journal_jobs"
local stores = require "spec.support.stores"

for _, place in ipairs(stores.all) do
  describe("the journal's jobs in " .. place.name, function()
    local store
    setup(place.start)
    teardown(place.stop)
    before_each(function() store = place.fresh() end)

    -- What each of the jobs printed; of a reservation only the word.
    local function run(...)
      local lines = jobs.run(store, { ... })
      for at, line in ipairs(lines) do lines[at] = line:gsub("^(reserved) .*", "%1") end
      return lines
    end

    it("amend the price of a placed entry, and with it what is counted as spent", function()
      assert.same({ "reserved", "changed", "refused per_day 3", "changed", "refused per_day 7",
        "refused per_run 7", "changed", "reserved" }, run(
        "intend key=a quote=3",
        "settle id=1 order=o answer=first",
        "intend key=b quote=1 per_day=3",
        "amend id=1 price=7 answer=more",
        "intend key=b quote=1 per_day=7",
        "intend key=b quote=1 per_run=7",
        "amend id=1 price=2",
        "intend key=b quote=1 per_run=3"))
      assert.matches("^placed order=o answer=more ", run("find key=a")[1])
    end)

    it("amend placed entries only", function()
      assert.same({ "reserved", "not changed", "changed", "not changed", "not changed" }, run(
        "intend", "amend id=1 price=7", "settle id=1 state=not_placed", "amend id=1 price=7",
        "amend id=99 price=7"))
    end)

    it("review the open entries, and those settled lately, newest first", function()
      assert.same({ "open; settled", "reserved", "reserved", "reserved", "changed", "changed",
        "open a:intent; settled b:not_placed c:placed:5", "open a:intent; settled" }, run(
        "review", "intend key=a", "intend key=b", "intend key=c", "settle id=3 price=5",
        "settle id=2 state=not_placed", "review", "review within=-60"))
    end)

    it("keep one baseline an account, from settling to sending", function()
      assert.same({
        "locked", "reserved", "changed", "changed", "open; settled k:placed; baseline one of 1",
        "changed", "open; settled k:placed:5; baseline two of 1", "open; settled",
        "reserved", "open l:intent; settled k:placed:5; baseline two of 1",
        "changed", "open l:sent; settled k:placed:5",
      }, run(
        "lock account=A", "intend", "settle id=1 state=sent", "settle id=1 baseline=one", "review",
        "amend id=1 price=5 baseline=two", "review", "review account=B",
        "intend key=l", "review",
        "settle id=2 state=sent", "review"))
    end)

    it("drop a baseline that was seen under a right that has been lost", function()
      assert.same({ "locked", "reserved", "changed", "not locked", "changed",
        "open; settled k:placed" }, run(
        "lock account=A", "intend", "settle id=1 state=sent", "lock",
        "settle id=1 baseline=one", "review"))
    end)
  end)
end
