-- A progress line on the terminal: bar, count, rate, time left. Silent in a pipe or with --quiet.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local terminal = require "proxylua.term.size"

local M = {}

local EVERY, BAR = 0.1, 20 -- seconds between two drawings; cells of the bar

local Progress = {}
Progress.__index = Progress

--- Begins a progress line.
-- @param what string, such as "checked"
-- @param total integer, or nil if unknown
-- @param flags table: quiet, colors
function M.start(what, total, flags)
  return setmetatable({
    what = what, total = total, count = 0, began = core.task.clock(), drawn = -EVERY,
    shown = core.system.isatty(2) and not flags.quiet, colors = flags.colors,
  }, Progress)
end

local function bar(share)
  local full = math.floor(share * BAR)
  return "[" .. ("#"):rep(full) .. ("-"):rep(BAR - full) .. "] "
end

-- The line after some seconds.
local function line(progress, seconds)
  local count, total = progress.count, progress.total
  local rate = seconds >= EVERY and count / seconds or 0 -- the first count says nothing of it
  local text = total and ("%d of %d %s"):format(count, total, progress.what)
    or ("%d %s"):format(count, count == 1 and progress.what:gsub("s$", "") or progress.what)
  if total and total > 0 then text = bar(math.min(count / total, 1)) .. text end
  if rate > 0 then text = ("%s, %.0f a second"):format(text, rate) end
  if rate > 0 and total and total > count then
    text = ("%s, %s left"):format(text, duration.text((total - count) / rate))
  end
  return text
end

local function draw(progress, now)
  progress.drawn = now
  local text = line(progress, now - progress.began):sub(1, math.max(1, terminal.width(2) - 1))
  if progress.colors then text = text:gsub("^%[(#+)", "[\27[32m%1\27[0m") end
  io.stderr:write("\r\27[K", text, "\r") -- a wait that the core shows takes its place
end

--- Adds to the count.
-- @param more integer (1)
function Progress:step(more)
  self.count = self.count + (more or 1)
  if not self.shown then return end
  local now = core.task.clock()
  if now - self.drawn >= EVERY then draw(self, now) end
end

--- Removes the line, so that something can be printed; the next step draws it again.
function Progress:clear()
  if not self.shown or self.drawn < 0 then return end
  io.stderr:write("\r\27[K")
  self.drawn = -EVERY
end

Progress.finish = Progress.clear

return M
