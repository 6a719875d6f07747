-- The first code in a plugin's process: builds `px` from the standard module's own parts and
-- requests to the parent, and the globals of the plugin; then serves. Called with the functions in
-- C (src/bind/plugin/guest_process.c) before the process is locked in; the returned function is
-- called afterwards.

local core = ...

local loaded = { ["proxylua.core"] = core }

local function require(name)
  if loaded[name] == nil then
    local loader, where = core.embedded(name)
    if type(loader) ~= "function" then
      error(("module '%s' not found: %s"):format(name, loader), 2)
    end
    loaded[name] = loader(name, where)
  end
  return loaded[name]
end

_ENV.require = require -- for those modules themselves

local scheduler = require "proxylua.plugin.guest.scheduler"
require("proxylua.plugin.guest.core").complete(core)
local streams = require("proxylua.plugin.streams").open(scheduler.ask, scheduler.clock)
local ask, note = scheduler.ask, scheduler.note

local names = require "proxylua.util.names"
local texts = require("proxylua.util.text").values

local workflows = require "proxylua.workflows"

local function load_export()
  require("proxylua.formats").register = function(...) -- luacheck: ignore 212
    names.usage("declare formats in plugin.lua: formats = { NAME = { run = \"…\", "
      .. "summary = \"…\" } }")
  end
  return workflows.export()
end

-- The workflows that work in a plugin; the others need more than any permission allows.
local later = { proxies = workflows.proxies, export = load_export, notify = workflows.notify,
  csv = workflows.csv }
local function only_in_scripts(name)
  return function(...) -- luacheck: ignore 212
    names.usage("px.%s is not available in plugins, only in scripts", name)
  end
end

for _, name in ipairs{ "alerts", "check", "fleet", "journal", "plugin", "pool", "qr", "renew",
  "report" } do
  later[name] = only_in_scripts(name)
end
local later_deposits = { request = only_in_scripts("deposits.request"),
  wait = only_in_scripts("deposits.wait") }

local function make_px()
  local px = require("proxylua.base")()
  px.http, px.request, px.limits = require "proxylua.http", core.api.request, core.api.limits
  px.log = {}
  for _, level in ipairs{ "debug", "info", "warn", "error" } do
    px.log[level] = function(...) note("log", level, texts(...)) end
  end
  px.env = function(name) return ask("env", name) end
  px.exec = function(...) return ask("exec", ...) end
  px.files = {
    read = function(path) return ask("read", path) end,
    write = function(path, text) return ask("write", path, text) end,
  }
  local parts = { require "proxylua.api.endpoints", require "proxylua.api.pages",
    { orders = require "proxylua.api.orders" } }
  for _, part in ipairs(parts) do
    for group, functions in pairs(part) do
      px[group] = px[group] or {}
      for name, fn in pairs(functions) do px[group][name] = fn end
    end
  end
  for name, field in pairs(px) do
    if type(field) == "table" and not getmetatable(field) then
      names.strict(field, "px." .. name, name == "deposits" and later_deposits or nil)
    end
  end
  return names.strict(px, "px", later)
end

local px = make_px()
-- Modules of a folder cannot be loaded later on.
if core.is_in_folder then
  for _, name in ipairs{ "proxies", "export", "notify", "csv" } do local _ = px[name] end
end

local plugin = { name = "?", modules = {}, loaded = { proxylua = px } }
local globals = {}

local function find_module(name)
  local path = name:gsub("%.", "/")
  for _, candidate in ipairs{ path .. ".lua", path .. "/init.lua" } do
    if plugin.modules[candidate] then return plugin.modules[candidate], candidate end
  end
end

local function require_module(name)
  if type(name) ~= "string" then
    error("require takes the name of a module, got a " .. type(name), 2)
  end
  if plugin.loaded[name] ~= nil then return plugin.loaded[name] end
  local text, path = find_module(name)
  if not text then error(("the plugin %s has no module '%s'"):format(plugin.name, name), 2) end
  local chunk, why = load(text, ("@%s/%s"):format(plugin.name, path), "t", globals)
  if not chunk then error(why, 0) end
  plugin.loaded[name] = true
  local value = chunk(name, path)
  if value ~= nil then plugin.loaded[name] = value end
  return plugin.loaded[name]
end

-- Source code only: Lua does not verify bytecode.
local real_load = load
local function load_text(chunk, name, _, ...)
  if select("#", ...) == 0 then return real_load(chunk, name, "t", globals) end
  return real_load(chunk, name, "t", (...))
end

local function guarded(fn)
  return function(...)
    if scheduler.is_outermost() then error("attempt to yield from outside a coroutine", 2) end
    return fn(...)
  end
end

for _, name in ipairs{
  "_VERSION", "assert", "collectgarbage", "error", "getmetatable", "ipairs", "next", "pairs",
    "pcall", "rawequal",
  "rawget", "rawlen", "rawset", "select", "setmetatable", "tonumber", "tostring", "type", "xpcall",
    "math",
  "string", "table", "utf8",
} do
  globals[name] = _G[name]
end
globals.os = { time = os.time, date = os.date, difftime = os.difftime, clock = os.clock }
rawset(os, "getenv", function() end) -- for the program's own modules: no variable is set here
globals._G, globals.require, globals.load = globals, require_module, load_text
globals.print = function(...) note("print", texts(...)) end
globals.coroutine = {}
for name, fn in pairs(coroutine) do globals.coroutine[name] = fn end
globals.coroutine.yield = guarded(coroutine.yield)

-- "module.function", or a function of main.
local function find_function(name)
  local module, field = name:match("^(.+)%.([^.]+)$")
  local functions = require_module(module or "main")
  local fn = type(functions) == "table" and functions[field or name]
  if type(fn) == "function" then return fn end
  core.error.raise{ kind = "usage",
    message = ("the plugin %s has no function %s"):format(plugin.name, name) }
end

local handlers = { pull = streams.pull }

function handlers.start(name, modules)
  plugin.name, plugin.modules = name, modules
  require_module("main")
end

function handlers.call(name, which, ...)
  return streams.wrap(find_function(name)(streams.unwrap(which, ...)))
end

-- The lines of a batch of proxies, of which the first has this number; and the error of the one
-- after them.
function handlers.format(name, proxies, number)
  local fn, lines = find_function(name), {}
  for at, proxy in ipairs(proxies) do
    local line, why = fn(proxy, number + at - 1)
    if line == nil then return lines, why or "the format returned nothing" end
    lines[at] = line
  end
  return lines
end

function handlers.rule(name, result, answer)
  return find_function(name)(result, setmetatable(answer, core.http.response))
end

return function() scheduler.run(handlers) end
