-- src/store: what a purchase asks of the store: round trips to a database, writes to the disk.

local core = require "proxylua.core"
local postgres = require "spec.support.postgres"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local BUY = "px.orders.create{ type = 'isp', quantity = 1, country = 'US', period = 30 } "
local CONNECT = 8 -- messages until a database can be used
-- Round trips: a further purchase takes 12, and two more when a slot is given back by itself.
local FIRST, FURTHER = 20, 14

describe("a purchase", function()
  local sandbox
  before_each(function() sandbox = sandboxes.start{} end)
  after_each(function() sandbox:stop() end)

  -- How often one run that makes so many purchases calls a function of C.
  local function count(name, store, purchases)
    local path = program.folder() .. "/calls"
    local script = program.write(sandbox.home .. "/buy.lua",
      "local px = require 'proxylua' " .. BUY:rep(purchases))
    local result = program.run({ script }, { home = sandbox.home, env = {
      PROXYLUA_STORE = store, PROXYLUA_SPEND = "1000", PROXYLUA_LIMITS = "general=1000/60",
      PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      LD_PRELOAD = core.system.real_path("build/spec/count_calls.so"), COUNT_CALLS = path,
      ASAN_OPTIONS = "verify_asan_link_order=0" } })
    assert.same({ 0, "" }, { result.code, result.err })
    return select(2, program.read(path):gsub("%f[^\0\n]" .. name .. "\n", ""))
  end

  it("takes few round trips to a database", function()
    local server = postgres.start()
    count("send", server.url, 1)
    local one, three = count("send", server.url, 1), count("send", server.url, 3)
    server:stop()
    assert.is_true(one - CONNECT <= FIRST, one)
    assert.is_true(three - one <= 2 * FURTHER, three - one)
  end)

  it("waits for the disk twice, before it is sent and when its outcome is known", function()
    local store = sandbox.home .. "/state.db"
    count("fdatasync", store, 1)
    local one, three = count("fdatasync", store, 1), count("fdatasync", store, 3)
    assert.equal(4, three - one)
  end)

  it("waits for the disk once more where its price comes later", function()
    local store = sandbox.home .. "/state.db"
    sandbox:change("settings", { faults = core.json.array{
      "orders.create:omit=price" } })
    count("fdatasync", store, 1)
    local one, three = count("fdatasync", store, 1), count("fdatasync", store, 3)
    assert.is_true(three - one <= 6, three - one)
  end)
end)
