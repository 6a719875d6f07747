-- Versions by semver.org, and ranges of them: ">=1.2 <2", "^1.2.3".

local M = {}

--- Parses a version.
-- @param text "1.2.3" or "1.2.3-beta.1+build"
-- @return table: the three numbers, and `pre`, the list of what follows the "-"; or nil if it is
--   not a version
function M.parse(text)
  if type(text) ~= "string" or #text > 100 then return nil end
  local core, build = text:match("^([^+]*)%+(.*)$")
  if build and not (build .. "."):gsub("[%w-]+%.", ""):find("^$") then return nil end
  local numbers, tail = (core or text):match("^([%d.]+)(.*)$")
  local major, minor, patch = (numbers or ""):match("^(%d+)%.(%d+)%.(%d+)$")
  if not major then return nil end
  local version = { pre = {} }
  for at, digits in ipairs{ major, minor, patch } do
    if #digits > 9 or digits:find("^0%d") then return nil end
    version[at] = tonumber(digits)
  end
  if tail == "" then return version end
  local pre = tail:match("^%-(.+)$")
  if not pre or (pre .. "."):gsub("[%w-]+%.", "") ~= "" then return nil end
  for part in pre:gmatch("[^.]+") do
    if part:find("^0%d+$") then return nil end
    version.pre[#version.pre + 1] = part
  end
  return version
end

local function compare_values(a, b)
  if a == b then return 0 end
  return a < b and -1 or 1
end

-- Numbers come before words; without "-" comes after with.
local function compare_pre(a, b)
  if #a == 0 or #b == 0 then return compare_values(#b, #a) end
  for at = 1, math.max(#a, #b) do
    local x, y = a[at], b[at]
    if not x or not y then return x and 1 or -1 end
    local m, n = x:find("^%d+$") and tonumber(x), y:find("^%d+$") and tonumber(y)
    local order
    if m and n then
      order = compare_values(m, n)
    elseif m or n then
      order = m and -1 or 1
    else
      order = compare_values(x, y)
    end
    if order ~= 0 then return order end
  end
  return 0
end

--- Which of two versions is the newer one.
-- @param a, b tables of M.parse
-- @return -1, 0 or 1
function M.compare(a, b)
  for at = 1, 3 do
    if a[at] ~= b[at] then return a[at] < b[at] and -1 or 1 end
  end
  return compare_pre(a.pre, b.pre)
end

local tests = {
  [">="] = function(order) return order >= 0 end, [">"] = function(order) return order > 0 end,
  ["<="] = function(order) return order <= 0 end, ["<"] = function(order) return order < 0 end,
  ["="] = function(order) return order == 0 end,
}

-- The upper bound of a "^": the next version of the first number that is not 0.
local function next_of(version)
  local at = version[1] > 0 and 1 or version[2] > 0 and 2 or 3
  local ends = { 0, 0, 0, pre = { "0" } }
  for i = 1, at do ends[i] = version[i] end
  ends[at] = ends[at] + 1
  return ends
end

--- Parses a range.
-- @param text comparisons between spaces, which must all hold: >= > <= < = ^, each with a version,
--   whose last numbers may be left out
-- @return list of {operator, version}; nil if it is not a range
function M.range(text)
  if type(text) ~= "string" or #text > 200 then return nil end
  local list = {}
  for word in text:gmatch("%S+") do
    local operator, rest = word:match("^([<>=^]=?)(.*)$")
    local missing = select(2, (rest or ""):gsub("%.", "."))
    local version = rest
      and (M.parse(rest) or (rest:find("^[%d.]+$") and M.parse(rest .. (".0"):rep(2 - missing))))
    if not version or not (tests[operator] or operator == "^") then return nil end
    if operator == "^" then
      list[#list + 1] = { "<", next_of(version) }
      operator = ">="
    end
    list[#list + 1] = { operator, version }
  end
  return #list > 0 and list or nil
end

--- Whether a version lies in a range.
-- @param version text
-- @param range text
function M.fits(version, range)
  local parsed = assert(M.parse(version))
  for _, part in ipairs(assert(M.range(range))) do
    if not tests[part[1]](M.compare(parsed, part[2])) then return false end
  end
  return true
end

return M
