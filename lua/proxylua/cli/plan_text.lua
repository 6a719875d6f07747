-- A plan and its results as lines of text: orders to keep, extend, buy and refuse, with colours if
-- wanted.

local clock = require "proxylua.util.clock"
local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local planner = require "proxylua.fleet.planner"
local terminal = require "proxylua.term.size"
local time = require "proxylua.util.time"
local wrap = require "proxylua.term.wrap"

local M = {}

local colors = { ["="] = "2", ["~"] = "33", ["+"] = "32", ["-"] = "33", ["!"] = "31" }
local DIM <const> = "2"

local PRICE_AT = 64 -- column

local function clean(text)
  return (text:gsub("[%c\x7F]", "?"))
end

-- Lines are collected with colours if wanted.
local Page = {}
Page.__index = Page

local function page(has_colors)
  return setmetatable({ has_colors = has_colors }, Page)
end

-- Columns of a terminal; lines in a pipe are not broken.
local function room()
  return core.system.isatty(1) and terminal.width(1) or math.huge
end

-- A price that does not fit beside its text stands behind the last line of it.
function Page:add(mark, text, price, color)
  text = clean(text)
  local cost = price and ("%10s"):format(tostring(price)) or ""
  local head, width = ("  %s "):format(mark), room()
  local lines
  if price and #text < PRICE_AT and #head + PRICE_AT + #cost <= width then
    lines = { head .. text .. (" "):rep(PRICE_AT - #text) .. cost }
  else
    local verb, rest = text:match("^(%l+  +)(.*)$") -- "bought   ", which wrap would narrow
    lines = wrap((rest or text) .. (price and " " .. tostring(price) or ""), width,
      head .. (verb or ""), "    ")
  end
  color = color or colors[mark]
  for _, line in ipairs(lines) do
    local is_colored = self.has_colors and color
    self[#self + 1] = is_colored and ("\27[%sm%s\27[0m"):format(color, line) or line
  end
end

function Page:say(format, ...)
  local lines = wrap(clean(format:format(...)), room(), "", "  ")
  table.move(lines, 1, #lines, #self + 1, self)
end

-- "2026-12-20 10:00"
local function ending(text)
  local date, hours = (text or ""):match("^(%d%d%d%d%-%d%d%-%d%d)T(%d%d:%d%d)")
  return date and (" until %s %s"):format(date, hours) or ""
end

local function left(text, now)
  local seconds = text and time.time(text) - now
  return seconds and seconds > 0 and (" (in %s)"):format(duration.text(seconds)) or ""
end

local function add_keep(lines, part)
  for _, order in ipairs(part.keep) do
    lines:add("=", ("keep    %s, %d%s"):format(order.order, order.quantity,
      ending(order.expires_at)))
  end
end

local function add_action(lines, action, now, color)
  if action.action == "extend" then
    lines:add("~", ("extend  %s, %d%s%s by %d day%s"):format(action.order, action.quantity,
      ending(action.expires_at),
      left(action.expires_at, now), action.period, action.period == 1 and "" or "s"), action.price,
      color)
  else
    lines:add("+", "buy     " .. planner.words(action), action.price, color)
  end
end

local function add_part(lines, part, now)
  lines:say("pool %s: %d of %s", part.pool.name, part.have, planner.words(part.pool))
  add_keep(lines, part)
  local color = (part.held or part.refused) and DIM or nil -- nothing of it is done
  for _, action in ipairs(part.actions) do add_action(lines, action, now, color) end
  for _, note in ipairs(part.notes) do lines:add("-", note) end
  if part.held then lines:add("!", "not bought: " .. part.held) end
  if part.refused then lines:add("!", "refused: " .. part.refused) end
end

local function add_sum(lines, plan)
  if not planner.has_work(plan) then lines:say("nothing to do") end
  lines:say("extend %s, buy %s, total %s; balance %s, %s after", plan.extend, plan.buy, plan.total,
    plan.balance or "unknown", plan.balance_after or "unknown")
  if plan.balance and plan.total > plan.balance then
    lines:add("!", ("the balance is short by %s"):format(plan.total - plan.balance))
  end
end

--- A plan as text.
-- @param plan as px.fleet.plan returns it
-- @param has_colors boolean
-- @return string
function M.plan(plan, has_colors)
  local lines, now = page(has_colors), clock()
  for _, part in ipairs(plan.pools) do add_part(lines, part, now) end
  for _, note in ipairs(plan.notes) do lines:add("-", note) end
  if plan.refused then lines:add("!", "refused: " .. plan.refused) end
  add_sum(lines, plan)
  return table.concat(lines, "\n") .. "\n"
end

local function add_skipped(lines, plan)
  for _, order in ipairs(plan.skipped) do
    lines:add("!", ("order %s %s"):format(order.order, order.text))
  end
end

--- The renewals that px.renew is about to make, as text.
function M.renewal(plan, has_colors)
  local lines, now = page(has_colors), clock()
  for _, one in ipairs(plan.settled) do
    lines:add("!", ("order %s %s"):format(one.order, one.text))
  end
  for _, action in ipairs(plan.actions) do add_action(lines, action, now) end
  add_skipped(lines, plan)
  if #plan.actions == 0 then lines:say("nothing to extend") end
  lines:say("total %s; balance %s, %s after", plan.total, plan.balance or "unknown",
    plan.balance_after or "unknown")
  return table.concat(lines, "\n") .. "\n"
end

-- "3 orders", "1 order"
local function orders(count)
  return ("%d order%s"):format(count, count == 1 and "" or "s")
end

--- The question before actions: "Buy 2 isp in US for 30 days", "Extend 2 orders and buy 1 order".
-- @param actions list, not empty
-- @return string
function M.question(actions)
  local first = actions[1]
  if #actions == 1 and first.action == "buy" then return "Buy " .. planner.words(first) end
  if #actions == 1 then
    return ("Extend order %s by %d day%s"):format(first.order, first.period,
      first.period == 1 and "" or "s")
  end
  local count = { buy = 0, extend = 0 }
  for _, action in ipairs(actions) do count[action.action] = count[action.action] + 1 end
  if count.buy == 0 then return "Extend " .. orders(count.extend) end
  if count.extend == 0 then return "Buy " .. orders(count.buy) end
  return ("Extend %s and buy %s"):format(orders(count.extend), orders(count.buy))
end

local words = { buy = { "+", "bought  " }, extend = { "~", "extended" } }

local function add_done(lines, action)
  local mark, word = table.unpack(words[action.action])
  if action.dry_run then word = "would " .. action.action end
  lines:add(mark, ("%s %s%s%s%s"):format(word, action.order and action.order .. ", " or "",
    planner.words(action),
    not action.dry_run and ending(action.expires_at) or "", action.by_another
      and " (by another run)" or ""),
    action.price)
end

--- The results of a plan, as text.
-- @param report as px.fleet.apply returns it
-- @param has_colors boolean
-- @return string
function M.report(report, has_colors)
  local lines = page(has_colors)
  for _, action in ipairs(report.done) do add_done(lines, action) end
  if report.failed then
    local words_of = planner.words(report.failed)
    lines:add("!", ("failed: %s %s: %s"):format(report.failed.action, words_of,
      report.error.message))
  end
  for _, action in ipairs(report.left) do
    lines:add("!", ("not done: %s %s%s"):format(action.action, action.order and action.order .. ", "
      or "",
      planner.words(action)), action.price)
  end
  local count = #report.done + #report.left + (report.failed and 1 or 0)
  local rehearsed = report.done[1] and report.done[1].dry_run
  if count > 0 then
    lines:say("%d of %d %s, %s spent", #report.done, count, rehearsed and "would be done" or "done",
      report.spent)
  end
  return table.concat(lines, "\n") .. (#lines > 0 and "\n" or "")
end

return M
