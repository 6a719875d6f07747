-- src/limits/slots.c: what clocks do to the slots. slots_check.c drives the rule alone, by chance;
-- then rows of real stores are moved to where another clock would have put them.

local sandboxes = require "spec.support.sandbox"
local stores = require "spec.support.stores"

local LONG = os.getenv "LIMITS_LONG" ~= nil
local SEED = tonumber(os.getenv "LIMITS_SEED") or os.time()

local HOUR = 3600 * 1000000
local COUNT, WINDOW = 5, 0.5 -- seconds

describe("The slot rule", function()
  it("is never too early and never stuck, for any clock and any rows", function()
    local pipe = assert(io.popen(("build/spec/slots_check %d %d 2>&1"):format(SEED, LONG and 100000
      or 5000)))
    local text = pipe:read("a")
    assert.is_true(pipe:close(), ("seed %d: %s"):format(SEED, text))
    if LONG then io.write("\n  seed ", SEED, ": ", text) end
  end)
end)

for _, place in ipairs(stores.all) do
  describe("Slots in " .. place.name, function()
    local store, sandbox
    setup(place.start)
    teardown(place.stop)
    before_each(function()
      store = place.fresh()
      sandbox = sandboxes.start{ limits = "general=1000/1" }
    end)
    after_each(function() sandbox:stop() end)

    local function run()
      local result = sandbox:run({ "-e",
        ("local px = require 'proxylua' for _ = 1, %d do px.account.get() end"):format(COUNT) },
        { env = { PROXYLUA_LIMITS = ("general=%d/%g"):format(COUNT, WINDOW),
          PROXYLUA_STORE = store } })
      assert.equal(0, result.code, result.err)
    end

    -- Puts the row where a clock that is `by` microseconds ahead would have.
    local function move_row(by, clock)
      local hex = place.query("SELECT hex(slots) FROM scopes WHERE key LIKE '%general'"):gsub("%s",
        "")
      local bytes, moved = hex:gsub("..", function(pair)
        return string.char(tonumber(pair, 16))
      end), {}
      for at = 1, #bytes, 8 do moved[#moved + 1] = ("<i8"):pack(("<i8"):unpack(bytes, at) + by) end
      assert.equal(COUNT, #moved)
      hex = table.concat(moved):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
      place.query(("UPDATE scopes SET seen_at = seen_at + %d, slots = %s%s WHERE key LIKE "
        .. "'%%general'"):format(by,
        place.bytes(hex), clock and (", clock = '%s'"):format(clock) or ""))
    end

    -- The least time in which the server saw one request more than the limit.
    local function shortest()
      local times, least = sandbox:look("counted").times, math.huge
      assert.equal(2 * COUNT, #times)
      for at = 1, #times - COUNT do least = math.min(least, times[at + COUNT] - times[at]) end
      return least / 1e6
    end

    for name, case in pairs{
      ["gone back by hours"] = { 3 * HOUR }, ["gone back by years"] = { 20000 * HOUR },
      ["begun anew with a boot"] = { 3 * HOUR, "another boot" },
      ["begun anew with a boot that was shorter"] = { -HOUR // 60, "another boot" },
    } do
      it("are taken for a whole window when the clock has " .. name, function()
        run()
        move_row(case[1], case[2])
        run()
        assert.is_true(shortest() >= WINDOW)
      end)
    end

    it("are free that much earlier when the database's clock has leapt forward", function()
      run()
      move_row(-3 * HOUR)
      run()
      assert.is_true(shortest() < 60)
    end)

    it("from the far future heal", function()
      local late = "9223372036854775807"
      run()
      place.query(("UPDATE scopes SET slots = %s, seen_at = 0, paused_until = %s, probe_until = "
        .. "%s, paced_until = %s, "
        .. "next_at = %s"):format(place.bytes(("ffffffffffffff7f"):rep(COUNT)), late, late, late,
        late))
      run()
      assert.is_true(shortest() >= WINDOW)
    end)
  end)
end
