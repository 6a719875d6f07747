-- A summary of many checks, in constant memory: counts, and a histogram of times with classes 2 %
-- wide.

local M = {}

local WIDTH = math.log(1.02)

local Summary = {}
Summary.__index = Summary

--- An empty summary.
-- @return table: `total`, `works`, `reasons` (reason -> count), `p50`, `p95`, `p99` and `slowest`
--   (seconds, for working proxies; absent if there are none)
function M.new()
  return setmetatable({ total = 0, works = 0, reasons = {} }, Summary)
end

-- The histogram is stored beside the public fields.
local classes = setmetatable({}, { __mode = "k" })

local function add_time(summary, seconds)
  local counts = classes[summary] or {}
  classes[summary] = counts
  local class = math.floor(math.log(math.max(seconds, 1e-6)) / WIDTH)
  counts[class] = (counts[class] or 0) + 1
  summary.slowest = math.max(summary.slowest or 0, seconds)
end

--- Counts a result.
function Summary:add(result)
  self.total = self.total + 1
  if result.works then
    self.works = self.works + 1
    add_time(self, result.time)
  else
    self.reasons[result.reason] = (self.reasons[result.reason] or 0) + 1
  end
end

-- The upper end of the class that contains a percentile.
local function percentile(summary, sorted, part)
  local counts, left = classes[summary], math.ceil(summary.works * part)
  for _, class in ipairs(sorted) do
    left = left - counts[class]
    if left <= 0 then return math.min(math.exp((class + 1) * WIDTH), summary.slowest) end
  end
end

--- Computes the percentiles.
-- @return the summary
function Summary:finish()
  local sorted = {}
  for class in pairs(classes[self] or {}) do sorted[#sorted + 1] = class end
  table.sort(sorted)
  for name, part in pairs{ p50 = 0.50, p95 = 0.95, p99 = 0.99 } do
    self[name] = percentile(self, sorted, part)
  end
  return self
end

return M
