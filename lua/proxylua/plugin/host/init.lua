-- A running plugin, seen from its parent. It is another process of this program, which can only
-- compute and send requests; the parent fulfils them within its permissions
-- (proxylua.plugin.host.broker).
--
-- A plugin is its modules by path, one of which is main.lua: a module that returns a table of
-- functions. A manifest names a function (`run` of a command, the values of `on`) as "function",
-- one of main's, or as "module.function", where `module` is the name for the plugin's own
-- `require`. A command's function is called with a table of its options, an event's with the data
-- of the event.
--
-- Arguments and results are copied: nil, booleans, numbers, texts, tables, amounts of money and
-- errors. A function among them is an iterator, which is passed in batches. An error of a plugin
-- arrives unchanged.

local broker = require "proxylua.plugin.host.broker"
local core = require "proxylua.core"
local settings = require "proxylua.settings"
local streams = require "proxylua.plugin.streams"
local tasks = require "proxylua.tasks"

local M = {}

-- bytes, and seconds of processor time that a call may take without waiting
local MEMORY, CPU = 64 << 20, 10
local START_SECONDS = 60 -- until its main module is loaded, which may wait for a rate-limit slot
local EVENT_SECONDS = 15 -- maximum time to wait for the handling of an event

local Instance = {}
Instance.__index = Instance

local function fail(kind, format, ...)
  core.error.raise{ kind = kind, message = format:format(...) }
end

local function answer(instance, number, ...)
  instance.tasks[number], instance.begun[number] = nil, nil
  instance.process:answer(number, ...)
end

local function serve(instance, number, what, ...)
  instance.begun[number] = true
  local handler = instance.handlers[what]
  if not handler then
    return answer(instance, number, false, ("unknown request %s"):format(tostring(what)))
  end
  answer(instance, number, pcall(handler, ...))
end

-- A task that has not begun never does, and sends no response.
local function cancel(instance, number)
  local task = instance.tasks[number]
  if not task then return end
  task:cancel()
  if not instance.begun[number] then
    answer(instance, number, false, "cancelled before it began")
  end
end

-- Whether no caller waits for it: it has done its work, which was not a call. Requests that it
-- would still send, for example after an event, must not keep the program from ending.
local function is_left(instance)
  return instance.waited == 0 and instance.done and not instance.wanted
end

local function left_behind()
  return core.error.new{ kind = "cancelled",
    message = "no caller waits for the plugin any more" }
end

-- Returns a value to close when the work is done.
local function while_waiting(instance)
  instance.waited = instance.waited + 1
  return setmetatable({}, { __close = function()
    instance.waited, instance.done = instance.waited - 1, true
    if not is_left(instance) then return end
    for number in pairs(instance.tasks) do cancel(instance, number) end
  end })
end

-- An error raised here ends the plugin: a correct one causes none.
local function on_message(instance, kind, number, what, ...)
  if kind == "c" then
    assert(not instance.tasks[number], "two requests with one number")
    if is_left(instance) then return answer(instance, number, false, left_behind()) end
    instance.tasks[number] = core.task.spawn(serve, instance, number, what, ...)
  elseif kind == "x" then
    cancel(instance, number)
  else
    if what == "print" and instance.called == 0 then what = "print_aside" end
    instance.notes[what](...)
  end
end

-- Cancels its running tasks; a charge that was sent is still settled by the core.
local function on_end(instance)
  for _, task in pairs(instance.tasks) do task:cancel() end
  instance.tasks = {}
end

-- Whether it is notified of anything.
local function has_grant(permissions, manifest)
  if next(permissions) ~= nil then return true end
  for _, field in ipairs{ "on", "formats", "rules" } do
    if next(manifest[field] or {}) ~= nil then return true end
  end
  return false
end

local function check_jail(name, permissions, manifest)
  local jailed = core.plugin.can_jail()
  local is_allowed = settings.get("uncaged_plugins") or not has_grant(permissions, manifest)
  if jailed or is_allowed then return jailed end
  fail("config",
    "the plugin %s has permissions, but this system cannot restrict it: seccomp is missing. With "
    .. "uncaged_plugins = true in the config file it runs without: trust it as you trust a "
    .. "program", name)
end

local function check_spec(spec)
  if type(spec.name) ~= "string" or not spec.name:find("^[%w_-]+$") then
    fail("usage", "a plugin needs a name")
  end
  if type(spec.modules) ~= "table" or type(spec.modules["main.lua"]) ~= "string" then
    fail("usage", "the plugin %s has no main.lua", spec.name)
  end
end

--- Starts a plugin's process and loads its main module.
-- @param spec table: `name`, `modules` (texts by path), `manifest` (`commands`, `on`, `formats`,
--   `rules`), `permissions`; `memory` in bytes, `cpu` and `start` in seconds, if not the defaults;
--   `reach="loopback"`, only for tests: its hosts may be on this machine. Manifests do not have
--   this field
-- @return instance, with methods
-- @raise what its main module raises; config; usage; timeout; internal
function M.start(spec)
  check_spec(spec)
  local permissions = spec.permissions or {}
  local jailed = check_jail(spec.name, permissions, spec.manifest or {})
  local instance = setmetatable({ name = spec.name, manifest = spec.manifest or {}, tasks = {},
    begun = {},
    waited = 0, called = 0 }, Instance)
  instance.streams = streams.open(function(...)
    return instance.process:call(...)
  end, core.task.clock)
  instance.handlers, instance.notes = broker.open(spec.name, permissions,
    spec.reach == "loopback" and "loopback" or "public")
  instance.handlers.pull = instance.streams.pull
  instance.process = core.plugin.start({
    name = spec.name, memory = spec.memory or MEMORY, cpu = spec.cpu or CPU,
    calls_free = not jailed,
  }, function(...) on_message(instance, ...) end, function() on_end(instance) end)
  local ok, err = pcall(tasks.timeout, spec.start or START_SECONDS, instance.process.call,
    instance.process, "start",
    spec.name, spec.modules)
  if ok then return instance end
  instance:close()
  if core.error.is(err) and err.kind == "timeout" then
    fail("timeout", "the plugin %s could not be loaded: %s", spec.name, err.message)
  end
  error(err, 0)
end

local function ask(instance, ...)
  local _ <close> = while_waiting(instance)
  return instance.process:call(...)
end

local function call(instance, fn, ...)
  return instance.streams.unwrap(ask(instance, "call", fn, instance.streams.wrap(...)))
end

-- Until it is closed, a caller waits for the plugin, and its print goes to standard output. After
-- that it goes to standard error: otherwise it could get into the data of another command, which a
-- program may read as proxies.
local function while_called(instance)
  instance.called, instance.wanted = instance.called + 1, true
  return setmetatable({}, { __close = function() instance.called = instance.called - 1 end })
end

--- Calls a function of the plugin and waits for the results.
-- @param fn string: "function" of main, or "module.function"
-- @param ... its arguments
-- @return its results
-- @raise what it raises; internal, with the code plugin_budget, plugin_forbidden, plugin_forged or
--   plugin_ended, when its process ended; usage for what cannot cross; cancelled
function Instance:call(fn, ...)
  local _ <close> = while_called(self)
  return call(self, fn, ...)
end

local function named(instance, kind, name)
  local list = instance.manifest[kind]
  return list and list[name]
end

--- Runs one of its commands.
-- @param name string
-- @param options table
-- @raise as `call`
function Instance:command(name, options)
  local command = named(self, "commands", name)
  if not command then
    fail("usage", "the plugin %s has no command %s", self.name, tostring(name))
  end
  return self:call(command.run, options or {})
end

--- Notifies it of an event, if it handles it, and waits for at most 15 seconds.
-- @param name string
-- @param data table
-- @return whether it did
-- @raise as `call`; timeout
function Instance:event(name, data)
  local fn = named(self, "on", name)
  if not fn then return false end
  tasks.timeout(EVENT_SECONDS, call, self, fn, data)
  return true
end

--- Makes lines in one of its formats.
-- @param name string
-- @param proxies list of records
-- @param number of the first of them
-- @return list of the results for each, and the error of the one after them; the results are not
--   checked
-- @raise as `call`
function Instance:format(name, proxies, number)
  local format = named(self, "formats", name)
  if not format then fail("usage", "the plugin %s has no format %s", self.name, name) end
  return ask(self, "format", format.run, proxies, number)
end

--- Applies one of its rules.
-- @param name string
-- @param result table, as px.check.run has it
-- @param page table, the response through the proxy: status, body, headers, ok, time, connect_time
-- @return the result, which is not checked
-- @raise as `call`
function Instance:rule(name, result, page)
  local rule = named(self, "rules", name)
  if not rule then fail("usage", "the plugin %s has no rule %s", self.name, name) end
  return ask(self, "rule", rule.run, result, page)
end

--- The reason why its process has ended; nil while it runs.
function Instance:ended()
  return self.process:status()
end

--- Ends its process. Calls into it raise.
function Instance:close()
  self.process:close()
end

return M
