-- A status as lines for a terminal: a heading for each part, in a column of its own.

local clean = require "proxylua.report.labels".clean
local cut = require "proxylua.report.labels".cut
local duration = require "proxylua.util.duration"
local time = require "proxylua.util.time"

local M = {}

local HEADING <const> = 10 -- columns
local SHOWN <const> = 5 -- orders and proxies in a list
local colors = { bad = "31", soon = "33", dim = "2" }

local Page = {}
Page.__index = Page

function Page:add(heading, color, ...)
  local text = clean((...):format(select(2, ...)))
  text = cut(("%-" .. HEADING .. "s%s"):format(heading, text), self.width, "…")
  if self.has_colors and color then text = ("\27[%sm%s\27[0m"):format(colors[color], text) end
  self[#self + 1] = text
end

local function count(number, word)
  return ("%s %s%s"):format(number, word, number == 1 and "" or "s")
end

--- How long the balance lasts, in words.
function M.lasts(status)
  if not status.balance then return "the API does not report it" end
  if status.orders.active == 0 then return "no active order" end
  if not status.lasts then
    return ("lasts over %d days with all renewals"):format(status.horizon)
  end
  return ("lasts %s with all renewals"):format(count(status.lasts, "day"))
end

local function add_account(page, status)
  local is_short = status.lasts and status.lasts <= 7
  page:add("balance", is_short and "soon" or nil, "%s; %s", status.balance or "unknown",
    M.lasts(status))
  page:add("spent", nil, "%s today, by the journal of this store", status.spent_today)
end

-- "general 58 of 60 free"
function M.limit(limit)
  local text = ("%s %d of %d free"):format(limit.scope, limit.free, limit.requests)
  if limit.waiting > 0 then text = ("%s, %d waiting"):format(text, limit.waiting) end
  if limit.paused > 0 then
    return ("%s, paused by the API for %s"):format(text, duration.text(limit.paused)), true
  end
  if limit.paced > 0 then
    return ("%s, slowed down for %s"):format(text, duration.text(limit.paced)), true
  end
  return text, false
end

local function add_limits(page, status)
  if status.limits[1] and status.limits[1].requests == 0 then
    return page:add("limits", nil, "off")
  end
  local parts, is_slow = {}, false
  for at, limit in ipairs(status.limits) do
    local slow
    parts[at], slow = M.limit(limit)
    is_slow = is_slow or slow
  end
  page:add("limits", is_slow and "soon" or nil, "%s", table.concat(parts, "; "))
end

--- The counts of orders, in words.
function M.orders(orders)
  local text = ("%d active"):format(orders.active)
  if orders.week > 0 then
    text = ("%s, %d to expire by tomorrow, %d within 7 days"):format(text, orders.day, orders.week)
  end
  if orders.late > 0 then text = ("%s, %d past their end"):format(text, orders.late) end
  if orders.no_expiry > 0 then text = ("%s, %d without an end"):format(text, orders.no_expiry) end
  return text
end

--- When an order ends: "in 2d 4h", "expired"; and whether that is soon.
function M.ending(order, now)
  local ends = time.read(order.expires_at)
  if not ends then return "no end", false end
  if ends <= now then return "expired", true end
  return "in " .. duration.text(ends - now), ends - now < 86400
end

local function add_orders(page, status)
  local now = time.read(status.at)
  page:add("orders", nil, "%s", M.orders(status.orders))
  for at = 1, math.min(SHOWN, #status.next) do
    local order = status.next[at]
    local ending, is_soon = M.ending(order, now)
    page:add("", is_soon and "soon" or nil, "%-16s  %-9s  %s %s %s%s", order.id, ending,
      order.quantity or "?", order.type or "?", order.country or "",
      order.pool and "  pool " .. order.pool or "")
  end
  if #status.next > SHOWN then page:add("", "dim", "and %d more", #status.next - SHOWN) end
end

local function add_pools(page, status)
  for at, pool in ipairs(status.pools) do
    local text = ("%s: %s"):format(pool.name, pool.wanted
      and ("%s of %s"):format(pool.have, pool.wanted) or pool.have)
    if (pool.missing or 0) > 0 then text = ("%s, %s missing"):format(text, pool.missing) end
    page:add(at == 1 and "pools" or "", (pool.missing or 0) > 0 and "bad" or nil, "%s in %s", text,
      count(pool.orders, "order"))
  end
end

local function add_charges(page, status)
  if #status.charges == 0 then return page:add("charges", nil, "none open") end
  for at, charge in ipairs(status.charges) do
    page:add(at == 1 and "charges" or "", "bad", "%s %s%s, since %s", charge.key, charge.state,
      charge.running and " (running)" or "", charge.created_at)
  end
end

local function add_checks(page, status)
  local checks = status.checks
  if checks.checked == 0 then return page:add("checks", "dim", "none within 7 days") end
  page:add("checks", checks.failing > 0 and "bad" or nil, "%d of %s failed the last check (%s)",
    checks.failing, count(checks.checked, "proxy"):gsub("proxys$", "proxies"), checks.last_at)
  for at = 1, math.min(SHOWN, #checks.proxies) do
    local proxy = checks.proxies[at]
    page:add("", "dim", "%s:%s  %s", proxy.host, proxy.port, proxy.reason)
  end
end

--- A status as text.
-- @param status of px.status
-- @param options table: `width` in columns, `color` (boolean), `where` (text: which API)
-- @return string
function M.render(status, options)
  local page = setmetatable({ width = options.width, has_colors = options.color }, Page)
  page:add("account", nil, "%s at %s, %s", status.email or "?", options.where, status.at)
  add_account(page, status)
  add_limits(page, status)
  add_orders(page, status)
  add_pools(page, status)
  add_charges(page, status)
  add_checks(page, status)
  return table.concat(page, "\n") .. "\n"
end

return M
