-- Faults on request. A fault is a string, the same on the command line and in the admin interface:
--
--   ENDPOINT:NAME[=VALUE][,NAME[=VALUE]…]        orders.create:cut=after,count=2
--
-- ENDPOINT is a name of the endpoint table, `forward` (the proxies that were sold) or `*` (every
-- endpoint). All faults that match a request apply to it together. In values, %XX stands for any
-- byte.
--
--   count=N  chance=0..1  skip=N   only N times; with a probability; not the first N times
--   hold=S  delay=S                wait before the request is counted; before the response is sent
--                                  (S seconds, or A-B: at random)
--   when=before|after              whether the fault shows before or after the work is done (and
--                                  charged); see `default_when`
--   cut=before|after               close the connection without a response
--   status=N                       respond with an error of this status
--   html  empty                    the body is a gateway's page (502 without status=); is empty
--   garbage  nul  nested           200, and the body is noise; has NUL bytes; is 200,000 brackets
--   huge  size=BYTES               a body without end; a download of this size
--   truncate                       Content-Length promises more than is sent
--   type=TEXT  redirect=URL        another content type; 302 to this URL
--   retry_after=TEXT               the Retry-After of an error, as given (`date`: 30 s from now as
--                                  a date; `none`: without one)
--   slow=S                         orders.list, orders.get, account.transactions, account.get:
--                                  without the orders and extensions of the last S seconds
--   shift=S                        orders.list, orders.get: expiry dates are S seconds later than
--                                  they are
--   omit=A+B  say=A~X+B~Y          records lack these fields; these fields have these values
--   most=N                         lists have at most N records a page, also those documented
--                                  without pages
--   untold                         lists are bare arrays, without page, limit and total
--   drift=FACTOR                   the charge is the quoted price times this
--   refund                         the order is charged, then cancelled and refunded, and the
--                                  response is 502
--   country=XX                     forward: the proxy's address appears to be in this country

local M = {}

local function unescape(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function number(text)
  local value = tonumber(text)
  return value and value >= 0 and value < math.huge and value or nil
end

local function integer(text)
  return math.tointeger(number(text))
end

local function range(text)
  local low, high = text:match("^([%d.]+)%-([%d.]+)$")
  low, high = number(low or text), number(high or text)
  return low and high and low <= high and { low, high } or nil
end

local function one_of(...)
  local known = {}
  for _, value in ipairs{ ... } do known[value] = value end
  return function(text) return known[text] end
end

local function names(text)
  local out = {}
  for name in text:gmatch("[^+]+") do out[name] = true end
  return out
end

local function says(text)
  local out = {}
  for part in text:gmatch("[^+]+") do
    local name, value = part:match("^([%w_]+)~(.*)$")
    if not name then return nil end
    out[name] = unescape(value)
  end
  return out
end

local function status(text)
  local value = integer(text)
  return value and value >= 200 and value <= 599 and value or nil
end

local function flag(text)
  return text == "" or text == "true" or nil
end

local kinds = {
  count = integer, chance = number, skip = integer, hold = range, delay = range,
  when = one_of("before", "after"), cut = one_of("before", "after"),
  status = status,
  html = flag, empty = flag, garbage = flag, nul = flag, nested = flag, huge = flag, size = integer,
    truncate = flag,
  type = unescape, redirect = unescape, retry_after = unescape,
  slow = number, shift = number,
  omit = names, say = says, most = integer, untold = flag, drift = number,
    refund = flag,
  country = function(text) return text:match("^%u%u$") end,
}

-- Faults that change the response apply after the work, which makes the response; the others apply
-- before it.
local default_when = {
  garbage = "after", nul = "after", nested = "after", huge = "after", truncate = "after",
    type = "after",
  empty = "after", refund = "after",
}

local function refuse(...)
  error((...):format(select(2, ...)), 0)
end

--- Reads one fault.
-- @raise a message as a string
function M.parse(text)
  local endpoint, rest = text:match("^([%w_.*]+):(.+)$")
  if not endpoint then
    refuse("fault '%s' is not ENDPOINT:NAME=VALUE,…, such as orders.create:cut=after", text)
  end
  local fault = { endpoint = endpoint, text = text, struck = 0 }
  for part in rest:gmatch("[^,]+") do
    local name, value = part:match("^([%w_]+)=?(.*)$")
    local read = kinds[name]
    if not read then refuse("fault '%s': '%s' is not the name of a fault", text, part) end
    fault[name] = read(value)
    if fault[name] == nil then refuse("fault '%s': '%s' does not take this value", text, part) end
  end
  fault.when = fault.when or fault.cut
  return fault
end

local function strikes(fault, endpoint)
  if fault.endpoint ~= endpoint and fault.endpoint ~= "*" then return false end
  if fault.count == 0 then return false end
  if (fault.skip or 0) > 0 then
    fault.skip = fault.skip - 1
    return false
  end
  return not fault.chance or math.random() < fault.chance
end

local nothing = {}

--- The faults that apply to a request.
-- @param faults list from `parse`; counts in it go down
-- @param endpoint name
-- @param early true: the faults that delay a request before it is counted; false: the others
-- @return a table with the values of all that apply, perhaps empty; the caller must not change it
function M.pick(faults, endpoint, early)
  local found
  for _, fault in ipairs(faults) do
    if (fault.hold ~= nil) == early and strikes(fault, endpoint) then
      if fault.count then fault.count = fault.count - 1 end
      fault.struck = fault.struck + 1
      found = found or {}
      for name, value in pairs(fault) do found[name] = value end
    end
  end
  return found or nothing
end

--- A random number of seconds in a range.
function M.seconds(span)
  return span[1] + math.random() * (span[2] - span[1])
end

--- "before" if the work is left out, "after" if it is done.
function M.when(fault)
  if fault.when then return fault.when end
  if fault.status or fault.html or fault.redirect then return "before" end
  for name, when in pairs(default_when) do
    if fault[name] then return when end
  end
  return "after"
end

local page = [[<html>
<head><title>%d %s</title></head>
<body><center><h1>%d %s</h1></center><hr><center>nginx</center></body>
</html>
]]

local function noise(size)
  local out = {}
  for index = 1, size do out[index] = string.char(math.random(128, 255)) end
  return table.concat(out)
end

-- A function that returns `size` bytes in pieces, or bytes without end.
local function pieces(size, first)
  local piece = ("0123456789abcdef"):rep(4096)
  return function()
    local out = first or piece
    first = nil
    if size then
      out = out:sub(1, size)
      size = size - #out
    end
    return out ~= "" and out or nil
  end
end

local shapes = {
  html = function(response)
    local code = response.fault.status or 502
    local title = code == 502 and "Bad Gateway" or "Error"
    response.status, response.body = code, page:format(code, title, code, title)
    response.headers["Content-Type"] = "text/html"
  end,
  empty = function(response) response.body = "" end,
  garbage = function(response)
    response.status, response.body = response.fault.status or 200, noise(200)
  end,
  nul = function(response) response.body = '{"data":{"id":"\0","balance":"\0"}}\0' end,
  nested = function(response) response.body = ("["):rep(200000) end,
  huge = function(response) response.body, response.more = "", pieces(nil, '{"data":"') end,
  size = function(response)
    local size = response.fault.size
    response.body, response.length, response.more = "", size, pieces(size)
  end,
  truncate = function(response)
    if response.body == "" then response.body = "{" end
    response.length = #response.body + 1000
  end,
  type = function(response) response.headers["Content-Type"] = response.fault.type end,
  redirect = function(response)
    response.status, response.body, response.headers["Location"] = 302, "", response.fault.redirect
  end,
  cut = function(response) response.status = 0 end,
}
local order_of_shapes = {
  "html", "empty", "garbage", "nul", "nested", "huge", "size", "truncate", "type", "redirect",
    "cut",
}

--- Changes a response in place as its faults require.
function M.shape(fault, response)
  response.fault = fault
  for _, name in ipairs(order_of_shapes) do
    if fault[name] then shapes[name](response) end
  end
end

return M
