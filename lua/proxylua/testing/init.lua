-- Specs of scripts: describe, it, before_each, after_each, setup, teardown, pending and assert, as
-- in busted. A file is read once for the names of its examples, and again in a process of its own
-- for each of them, so that no example sees what another one did.

local names = require "proxylua.util.names"
local script = require "proxylua.script"

local M = {}

-- A group has a name, the parts before and after examples, and the group around it.
local function new_group(name, parent)
  return { name = name, parent = parent, setup = {}, teardown = {}, before_each = {},
    after_each = {} }
end

local function full_name(group, name)
  while group and group.name do
    name = group.name .. " " .. name
    group = group.parent
  end
  return name
end

local function check(caller, name, fn)
  if type(name) ~= "string" then names.usage("%s takes a title, got a %s", caller, type(name)) end
  if type(fn) ~= "function" then
    names.usage("%s takes a title and a function, got a %s", caller, type(fn))
  end
end

-- Runs a script as a spec does: run("buy.lua", …) returns what it printed, or raises its error.
local function run_script(path, ...)
  local printed = {}
  local function put(...)
    for _, text in ipairs{ ... } do printed[#printed + 1] = tostring(text) end
    return io.stdout
  end
  local arg = table.pack(...)
  arg[0] = path
  local env = setmetatable({
    arg = arg, io = setmetatable({ write = put }, { __index = io }),
    print = function(...)
      local list = table.pack(...)
      for at = 1, list.n do list[at] = tostring(list[at]) end
      put(table.concat(list, "\t"), "\n")
    end,
  }, { __index = _G })
  script.add_folder(path)
  local chunk, why = load(script.source(script.read(path)), "@" .. path, "t", env)
  if not chunk then error(why, 0) end
  chunk(...)
  return table.concat(printed)
end

local function environment(examples)
  local group = new_group()
  local env = { px = require "proxylua", assert = require "proxylua.testing.assertions",
    run = run_script }
  function env.describe(name, fn)
    check("describe", name, fn)
    group = new_group(name, group)
    fn()
    group = group.parent
  end
  function env.it(name, fn)
    check("it", name, fn)
    examples[#examples + 1] = { name = full_name(group, name), group = group, fn = fn }
  end
  function env.pending(name)
    examples[#examples + 1] = { name = full_name(group, tostring(name)), group = group }
  end
  for _, part in ipairs{ "setup", "teardown", "before_each", "after_each" } do
    env[part] = function(fn)
      check(part, part, fn)
      table.insert(group[part], fn)
    end
  end
  env.context, env.spec, env.test = env.describe, env.it, env.it
  return setmetatable(env, { __index = _G })
end

--- Reads the examples of a file.
-- @return list of tables: name, and fn, which a pending one lacks
-- @raise usage; what the file raises
function M.read(path)
  local examples = {}
  script.add_folder(path)
  local text = script.source(script.read(path))
  local chunk, why = load(text, "@" .. path, "t", environment(examples))
  if not chunk then names.usage("%s", why) end
  chunk()
  return examples
end

-- The outer groups first, or last.
local function each_group(group, outer_first)
  local list = {}
  while group do
    table.insert(list, outer_first and 1 or #list + 1, group)
    group = group.parent
  end
  return list
end

local function call_all(group, part, outer_first)
  for _, one in ipairs(each_group(group, outer_first)) do
    for _, fn in ipairs(one[part]) do fn() end
  end
end

-- The text of an error and the lines of the user's code that led to it.
local function catch(err)
  if type(err) == "table" and err.caught then return err end
  local lines = { tostring(err) }
  for line in debug.traceback("", 2):gmatch("\t([^\n]+)") do
    local is_own = line:find("^proxylua/") or line:find("^%[C%]") or line:find("^%(%.%.%.tail")
    if not is_own then lines[#lines + 1] = "  " .. line end
  end
  return { caught = table.concat(lines, "\n") }
end

local function perform(example)
  call_all(example.group, "setup", true)
  call_all(example.group, "before_each", true)
  local ok, err = xpcall(example.fn, catch)
  call_all(example.group, "after_each", false)
  call_all(example.group, "teardown", false)
  if not ok then error(err, 0) end
end

--- Runs one example in this process.
-- @return state: "passed", "failed" or "pending"; and the error as text
function M.run(path, number)
  local example = M.read(path)[number]
  if not example.fn then return "pending" end
  local ok, err = xpcall(perform, catch, example)
  return ok and "passed" or "failed", not ok and err.caught or nil
end

return M
