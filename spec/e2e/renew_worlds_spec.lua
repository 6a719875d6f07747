-- Extensions in random worlds: lists that lag and shift ends, responses that are lost or mangled,
-- runs that are killed, manual extensions in between. The judge is the server's own count.
-- RENEW_WORLDS=N plays N worlds, RENEW_SEED=S begins with this one.

local core = require "proxylua.core"
local crash = require "spec.support.crash"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local WORLDS <const> = tonumber(os.getenv("RENEW_WORLDS")) or 4
local SEED <const> = tonumber(os.getenv("RENEW_SEED")) or os.time()
local STEPS <const> = 10

local POOL <const> = [[
return { { name = "p", type = "isp", country = "US", quantity = 4, period = 30 } }]]

-- Three orders that end within two days, two of them a pool's.
local ORDERS <const> = [[
  local ids = {}
  for at, row in ipairs{ { "US", 2 }, { "DE", 1 }, { "US", 1 } } do
    ids[at] = px.orders.create{ country = row[1], period = row[2], quantity = 2, type = "isp" }.id
  end
  px.fleet.adopt("p", ids[1])
  px.fleet.adopt("p", ids[3])
  return ids]]

local extension_faults = { "cut=after,count=1", "cut=before,count=1", "html,when=after,count=1",
  "status=502,when=after,count=1", "status=502,count=1", "html,status=404,when=after,count=1" }

local function one_in(count)
  return math.random(count) == 1
end

local function random_faults()
  local list = core.json.array{}
  for _, name in ipairs{ "orders.list", "orders.get" } do
    if one_in(2) then
      list[#list + 1] = ("%s:slow=3600,shift=%d"):format(name, math.random(0, 3))
    elseif one_in(3) then
      list[#list + 1] = ("%s:shift=%d"):format(name, math.random(0, 3))
    end
  end
  if one_in(3) then list[#list + 1] = "account.transactions:slow=3600" end
  if one_in(3) then list[#list + 1] = "orders.extend:omit=expires_at" end
  if one_in(6) then list[#list + 1] = "orders.get:status=404,chance=0.3" end
  if one_in(2) then
    list[#list + 1] = "orders.extend:" .. extension_faults[math.random(#extension_faults)]
  end
  return list
end

describe("in a random world", function()
  local sandbox, steps
  setup(function() sandbox, steps = sandboxes.start(), crash.steps() end)
  teardown(function() sandbox:stop() end)

  local function extensions()
    local made = {}
    for _, order in ipairs(sandbox:look("orders").orders) do made[order.id] = order.extensions end
    return made
  end

  local function start()
    sandbox:change("reset")
    sandbox:change("settings", { faults = core.json.array{}, balance = "1000.00",
      dialect = ({ "envelope", "bare", "snake", "mixed" })[math.random(4)] })
    program.remove(sandbox.home .. "/state")
    local ids = sandbox:eval(ORDERS)
    sandbox:change("clock", { advance = 7200 }) -- what lags hides extensions, not orders
    return ids
  end

  local function random_command(ids, file)
    local choice = math.random(8)
    if choice <= 4 then return { "renew", "--within", "3d" } end
    if choice <= 7 then return { "fleet", "apply", file } end
    local id = ids[math.random(#ids)]
    return { "orders", "extend", id, "--period", "30" }, id
  end

  local function run(words)
    local env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000", PROXYLUA_SETTLE = "0.1s",
      PROXYLUA_TIMEOUT = "3s" }
    if one_in(4) then
      env.PROXYLUA_CRASH = ("%s:%d"):format(steps[math.random(#steps)], math.random(3))
    end
    return program.run(words, { home = sandbox.home, env = env, program = crash.path })
  end

  -- A person may extend an order as often as they like; renew and a fleet do so once.
  local function check_step(before, after, manual, about)
    for id, count in pairs(after) do
      local made = count - before[id]
      assert.is_true(made <= 1, about)
      assert.is_true(made == 0 or id == manual or before[id] == 0, about)
    end
  end

  -- Runs renew until it has nothing left that needs another look.
  local function finish(about)
    sandbox:change("settings", { faults = core.json.array{} })
    local result
    for _ = 1, 3 do
      result = sandbox:run{ "renew", "--within", "3d" }
      if result.code == 0 then break end
    end
    assert.equal(0, result.code, about .. result.err)
    for id, count in pairs(extensions()) do
      assert.is_true(count >= 1, ("%s%s was not extended"):format(about, id))
    end
  end

  for number = 0, WORLDS - 1 do
    local seed = SEED + number
    it("each order is extended once from one end, seed " .. seed, function()
      math.randomseed(seed)
      local ids, about = start(), ("RENEW_WORLDS=1 RENEW_SEED=%d\n"):format(seed)
      local file = program.write(sandbox.home .. "/pool.lua", POOL)
      for _ = 1, STEPS do
        local before = extensions()
        sandbox:change("settings", { faults = random_faults() })
        local words, manual = random_command(ids, file)
        local result = run(words)
        about = ("%s%s: %d %s\n"):format(about, table.concat(words, " "), result.code, result.err)
        check_step(before, extensions(), manual, about)
        sandbox:change("clock", { advance = math.random(0, 900) })
      end
      finish(about)
      assert.equal(#ids, sandbox:look("counters").sold, about)
    end)
  end
end)
