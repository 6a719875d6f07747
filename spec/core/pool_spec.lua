-- src/pool: what is picked, against a model that looks through the whole list each time.

local core = require "proxylua.core"

local FOREVER <const> = 1e9 -- seconds

local Model = {}
Model.__index = Model

local function find(model, url)
  for at, member in ipairs(model.list) do
    if member.url == url then return member, at end
  end
end

function Model:add(url)
  if find(self, url) then return false end
  table.insert(self.list, { url = url, turn = 0, latency = 0, requests = 0, failures = 0 })
  return true
end

function Model:remove(url)
  local member, at = find(self, url)
  if not member then return false end
  table.remove(self.list, at)
  for key, used in pairs(self.keys) do
    if used == member then self.keys[key] = nil end
  end
  return true
end

-- The members that a strategy may pick, and the one that it has to.
local function choose(model, tried)
  local free, best, soonest = {}, nil, nil
  for _, member in ipairs(model.list) do
    if not tried[member.url] then
      if not member.failed then
        free[member.url] = true
        local latency = model.strategy == "least_latency" and member.latency or 0
        local least = best and (model.strategy == "least_latency" and best.latency or 0)
        if not best or latency < least or latency == least and member.turn < best.turn then
          best = member
        end
      elseif not soonest or member.failed < soonest.failed then
        soonest = member
      end
    end
  end
  return best or soonest, best and free or {}
end

-- The same pick as the engine made; an error where the engine had to pick another.
function Model:pick(key, tried, picked)
  local used = key and self.keys[key]
  local member, free = choose(self, tried)
  if used and not tried[used.url] and not used.failed then
    member = used
  elseif self.strategy == "random" and free[picked] then
    member = find(self, picked)
  end
  assert.equal(member and member.url, picked)
  if not member then return end
  self.turn = self.turn + 1
  member.turn = self.turn
  if key then self.keys[key] = member end
end

function Model:report(url, outcome, latency)
  local member = find(self, url)
  if not member then return false end
  member.requests = member.requests + 1
  if outcome == "failed" then
    self.turn = self.turn + 1
    member.failures, member.failed = member.failures + 1, self.quarantine > 0 and self.turn or nil
  elseif outcome == "worked" then
    member.failed = nil
    if latency then
      member.latency = member.measured and member.latency + 0.3 * (latency - member.latency)
        or latency
      member.measured = true
    end
  end
  return true
end

-- Quarantines that begin at one reading of the clock end together.
local function tick()
  local before = core.task.clock()
  repeat until core.task.clock() > before
end

local outcomes = { "worked", "failed", "failed", "other" }

local function step(engine, model)
  local function any_url() return "http://10.0.0." .. math.random(12) .. ":80" end
  local kind, url = math.random(10), any_url()
  if kind == 1 then
    assert.equal(model:add(url), engine:add(url))
  elseif kind == 2 and math.random(3) == 1 then
    assert.equal(model:remove(url), engine:remove(url))
  elseif kind <= 5 then
    local outcome = outcomes[math.random(4)]
    local latency = math.random(2) == 1 and math.random(4) / 4 or nil
    tick()
    assert.equal(model:report(url, outcome, latency), engine:report(url, outcome, latency))
  else
    local keys = { false, false, "a", "b", 1, "1" }
    local key, tried, list = keys[math.random(6)] or nil, {}, {}
    for at = 1, math.random(0, 3) do
      list[at] = any_url()
      tried[list[at]] = true
    end
    model:pick(key, tried, engine:pick(key, math.random(0), table.unpack(list)))
  end
end

local function compare(engine, model)
  local rows = engine:rows()
  assert.equal(#model.list, #rows)
  assert.equal(#rows, engine:count())
  for at, member in ipairs(model.list) do
    local row = rows[at]
    assert.same({ member.url, member.requests, member.failures, member.failed ~= nil,
      member.measured and member.latency },
      { row.url, row.requests, row.failures, row.left ~= nil, row.latency })
  end
end

describe("the rotating pool picks as the model does:", function()
  for _, strategy in ipairs{ "round_robin", "random", "least_latency" } do
    for _, quarantine in ipairs{ 0, FOREVER } do
      it(("%s, quarantine %g"):format(strategy, quarantine), function()
        for seed = 1, 40 do
          math.randomseed(seed)
          local engine = core.pool.new(strategy, quarantine)
          local model = setmetatable({ strategy = strategy, quarantine = quarantine, list = {},
            keys = {}, turn = 0 }, Model)
          for _ = 1, 200 do step(engine, model) end
          compare(engine, model)
        end
      end)
    end
  end
end)

describe("the rotating pool", function()
  it("uses a proxy again when its quarantine has ended", function()
    local engine = core.pool.new("round_robin", 0.02)
    engine:add("http://a:1")
    engine:add("http://b:1")
    engine:report("http://a:1", "failed")
    assert.equal("http://b:1", engine:pick(nil, 0))
    local ends = core.task.clock() + 20
    repeat core.task.sleep(0.005) until not engine:rows()[1].left or core.task.clock() > ends
    assert.equal("http://a:1", engine:pick(nil, 0))
  end)

  it("picks each one of many with the same chance", function()
    local engine, count = core.pool.new("random", 1), {}
    for at = 1, 10 do engine:add("http://h" .. at .. ":1") end
    math.randomseed(3)
    for _ = 1, 10000 do
      local url = engine:pick(nil, math.random(0))
      count[url] = (count[url] or 0) + 1
    end
    for at = 1, 10 do
      local times = count["http://h" .. at .. ":1"] or 0
      assert.is_true(times > 850 and times < 1150, times)
    end
  end)

  it("refuses a key that is neither a string nor a number", function()
    local engine = core.pool.new("random", 1)
    engine:add("http://a:1")
    local ok, err = pcall(engine.pick, engine, {}, 0)
    assert.same({ false, "usage" }, { ok, err.kind })
  end)
end)
