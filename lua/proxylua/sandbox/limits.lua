-- The rate limits as the server counts them: N requests in W seconds for each scope and key, by one
-- of four algorithms. A refused request is not counted. A request that belongs to two scopes counts
-- in both or in neither.

local M = {}

local algorithms = {}

local function member(class, fields)
  return setmetatable(fields, { __index = class })
end

-- Windows of W seconds that begin at an offset of the clock (`phase`).
algorithms.fixed = { new = function(self, rule)
  return member(self, { size = rule.size, window = rule.window, phase = rule.phase, count = 0,
    index = 0 })
end }

function algorithms.fixed:wait(now)
  local index = (now - self.phase) // self.window
  if index ~= self.index then self.index, self.count = index, 0 end
  return self.count < self.size and 0 or (index + 1) * self.window + self.phase - now
end

function algorithms.fixed:take()
  self.count = self.count + 1
end

-- The times of the last W seconds: a ring of N.
algorithms.sliding = { new = function(self, rule)
  return member(self, { size = rule.size, window = rule.window, at = 0, times = {} })
end }

function algorithms.sliding:wait(now)
  local oldest = self.times[self.at % self.size + 1]
  return oldest and math.max(oldest + self.window - now, 0) or 0
end

function algorithms.sliding:take(now)
  self.times[self.at % self.size + 1] = now
  self.at = self.at + 1
end

-- A bucket that gains N tokens in W seconds and holds `burst`.
algorithms.bucket = { new = function(self, rule)
  return member(self, { rate = rule.size / rule.window, burst = rule.burst, tokens = rule.burst,
    at = nil })
end }

function algorithms.bucket:wait(now)
  self.tokens = math.min(self.burst, self.tokens + (now - (self.at or now)) * self.rate)
  self.at = now
  return math.max((1 - self.tokens) / self.rate, 0)
end

function algorithms.bucket:take()
  self.tokens = self.tokens - 1
end

-- The count of the current window, plus that of the previous one, weighted by the part of it that
-- the last W seconds cover.
algorithms.weighted = { new = function(self, rule)
  return member(self, { size = rule.size, window = rule.window, phase = rule.phase, index = 0,
    count = 0, before = 0 })
end }

function algorithms.weighted:wait(now)
  local position = (now - self.phase) / self.window
  local index = position // 1
  if index ~= self.index then
    self.before = index == self.index + 1 and self.count or 0
    self.index, self.count = index, 0
  end
  local free, before = self.size - self.count - 1, self.before
  local start = index * self.window + self.phase
  if free >= 0 and before * (1 - (position - index)) <= free then return 0 end
  if free < 0 then start, free, before = start + self.window, self.size - 1, self.count end
  return math.max(start + (1 - free / before) * self.window - now, 1e-6)
end

function algorithms.weighted:take()
  self.count = self.count + 1
end

local function refuse(...)
  error("limits: " .. (...):format(select(2, ...)), 0)
end

local function number(text, name)
  local value = tonumber(text)
  if not value or value <= 0 or value == math.huge then
    refuse("%s must be a number above zero", name)
  end
  return value
end

local function rule(text, name)
  local size, window = text:match("^(%d+)/([%d.]+)$")
  if not size then refuse("%s must be REQUESTS/SECONDS, such as 60/60, got '%s'", name, text) end
  return { size = math.tointeger(number(size, name)), window = number(window, name) }
end

--- Reads `general=60/60,orders=10/60` with the optional parts
-- `algorithm=sliding|fixed|bucket|weighted` (default sliding), `burst=N` (bucket; default: the
-- scope's N) and `phase=SECONDS` (windows; default: random); or `off`.
-- @return a table for `open`
-- @raise a message as a string
function M.parse(text)
  local spec = { algorithm = "sliding", scopes = {} }
  if text == "off" then return spec end
  for part in text:gmatch("[^,]+") do
    local name, value = part:match("^%s*(%w+)=(%S+)%s*$")
    if name == "algorithm" and algorithms[value] then
      spec.algorithm = value
    elseif name == "burst" or name == "phase" then
      spec[name] = number(value, name)
    elseif name == "general" or name == "orders" then
      spec.scopes[name] = rule(value, name)
    else
      refuse("'%s' is not a limit; write general=60/60,orders=10/60 with "
        .. "algorithm=sliding|fixed|bucket|weighted, burst=N "
        .. "or phase=SECONDS, or off", part)
    end
  end
  return spec
end

--- Counters for one key.
function M.open(spec)
  local counters = {}
  for name, scope in pairs(spec.scopes) do
    local class = algorithms[spec.algorithm]
    counters[name] = class:new{
      size = scope.size, window = scope.window,
      burst = spec.burst or scope.size, phase = spec.phase or math.random() * scope.window,
    }
  end
  return counters
end

--- Counts a request in its scopes.
-- @param counters of the key
-- @param scopes list of names
-- @param now seconds of a clock that only goes forward
-- @return nil, or the seconds until it would be allowed
function M.take(counters, scopes, now)
  local longest = 0
  for _, name in ipairs(scopes) do
    if counters[name] then longest = math.max(longest, counters[name]:wait(now)) end
  end
  if longest > 0 then return longest end
  for _, name in ipairs(scopes) do
    if counters[name] then counters[name]:take(now) end
  end
  return nil
end

return M
