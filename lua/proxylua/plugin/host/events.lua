-- Notifies plugins of events in this program. Each plugin is notified in a separate task: its code
-- neither delays nor changes the event, and its failure only causes a warning. Purchases of plugins
-- cause no events: two plugins that respond to each other's orders with orders would never end.

local core = require "proxylua.core"
local plain = require "proxylua.util.text"

local M = {}

local MAX_FAILURES = 3 -- consecutive failures of a plugin with one kind of event

local function complain(...)
  io.stderr:write("proxylua: ", (...):format(select(2, ...)), "\n")
end

-- Returns nil, or the reason why the plugin could not be notified.
local function deliver(name, event, data)
  local ok, err = pcall(function()
    require("proxylua.plugin.host.running").get(name):event(event, data)
  end)
  if ok then return nil end
  if core.error.is(err) and err.kind == "cancelled" then error(err, 0) end
  return ("the plugin %s could not be notified of %s: %s"):format(name, event,
    plain.line(tostring(err)))
end

local function notify_or_warn(name, event, data)
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
    complain("plugins are not notified of events: %s", tostring(entries))
    return {}
  end
  local listeners = {}
  for name, entry in pairs(entries) do
    if listens(entry, event) then listeners[#listeners + 1] = name end
  end
  table.sort(listeners)
  return listeners
end

-- In the sandbox nothing is real, which a plugin that notifies people must know.
local function marked(data)
  if not core.sandbox.place() then return data end
  local copy = { sandbox = true }
  for name, value in pairs(data) do copy[name] = value end
  return copy
end

--- Notifies the plugins of an event.
-- @param event one of proxylua.plugin.package.permissions.events
-- @param data table; gets `sandbox=true` in a run with --sandbox
function M.notify(event, data)
  data = marked(data)
  for _, name in ipairs(listeners_of(event)) do
    core.task.spawn(notify_or_warn, name, event, data)
  end
end

local function notify_one(listener, event, data)
  if listener.failures >= MAX_FAILURES then return end
  local why = deliver(listener.name, event, data)
  -- other calls failed in the meantime
  if listener.failures >= MAX_FAILURES then return end
  listener.failures = why and listener.failures + 1 or 0
  if why then complain("%s", why) end
  if listener.failures == MAX_FAILURES then
    complain("the plugin %s is not notified again: it failed repeatedly", listener.name)
  end
end

--- A function that notifies the plugins of an event that may come a million times: the listeners
-- are looked up now, and each call waits for them. One that fails repeatedly is skipped.
-- @return function(data)
function M.notifier(event)
  local listeners = {}
  for at, name in ipairs(listeners_of(event)) do listeners[at] = { name = name, failures = 0 } end
  return function(data)
    if not listeners[1] then return end
    data = marked(data)
    for _, listener in ipairs(listeners) do notify_one(listener, event, data) end
  end
end

return M
