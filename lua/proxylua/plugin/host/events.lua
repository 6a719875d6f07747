-- What happens in this program, told to the plugins that want to know. Each is told by a task of
-- its own: what it does with it neither holds up nor changes what has happened, and its failure is
-- told and no more. What plugins buy themselves is told to none: two that answer each other's
-- orders with orders would never end.

local core = require "proxylua.core"
local plain = require "proxylua.util.text"

local M = {}

local MOST_FAILURES = 3 -- of a plugin, one after the other, at one kind of event

local function complain(...)
  io.stderr:write("proxylua: ", (...):format(select(2, ...)), "\n")
end

-- Answers why it could not be told, or nil.
local function deliver(name, event, data)
  local ok, err = pcall(function()
    require("proxylua.plugin.host.running").get(name):event(event, data)
  end)
  if ok then return nil end
  if core.error.is(err) and err.kind == "cancelled" then error(err, 0) end
  return ("the plugin %s could not be told of %s: %s"):format(name, event,
    plain.line(tostring(err)))
end

local function tell_or_complain(name, event, data)
  local why = deliver(name, event, data)
  if why then complain("%s", why) end
end

local function listens(entry, event)
  for _, name in ipairs(entry.on) do
    if name == event then return true end
  end
  return false
end

local function listeners_of(event)
  local ok, entries = pcall(require("proxylua.plugin.package.installed").entries)
  if not ok then
    complain("plugins are told of nothing: %s", tostring(entries))
    return {}
  end
  local listeners = {}
  for name, entry in pairs(entries) do
    if listens(entry, event) then listeners[#listeners + 1] = name end
  end
  table.sort(listeners)
  return listeners
end

-- With --sandbox nothing is real, which a plugin that notifies people has to know.
local function marked(data)
  if not core.sandbox.place() then return data end
  local copy = { sandbox = true }
  for name, value in pairs(data) do copy[name] = value end
  return copy
end

--- Tells the plugins of an event.
-- @param event one of proxylua.plugin.package.permissions.events
-- @param data table; gets `sandbox=true` in a run with --sandbox
function M.tell(event, data)
  data = marked(data)
  for _, name in ipairs(listeners_of(event)) do
    core.task.spawn(tell_or_complain, name, event, data)
  end
end

local function tell_one(listener, event, data)
  if listener.failures >= MOST_FAILURES then return end
  local why = deliver(listener.name, event, data)
  -- others have failed while this one was told
  if listener.failures >= MOST_FAILURES then return end
  listener.failures = why and listener.failures + 1 or 0
  if why then complain("%s", why) end
  if listener.failures == MOST_FAILURES then
    complain("the plugin %s is told of no more", listener.name)
  end
end

--- What tells the plugins of an event that may come a million times: who listens is looked up now,
-- and each telling is waited for. One that goes on to fail is left out.
-- @return function(data)
function M.teller(event)
  local listeners = {}
  for at, name in ipairs(listeners_of(event)) do listeners[at] = { name = name, failures = 0 } end
  return function(data)
    if not listeners[1] then return end
    data = marked(data)
    for _, listener in ipairs(listeners) do tell_one(listener, event, data) end
  end
end

return M
