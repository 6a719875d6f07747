-- Plugins to install, and the program that does it, with a home of its own.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}
local Home = {}
Home.__index = Home

--- A home without plugins.
function M.home()
  return setmetatable({ path = program.folder() }, Home)
end

function Home:remove()
  program.remove(self.path)
end

--- Runs the program.
-- @return table: code, out, err
function Home:run(...)
  return program.run({ ... }, { home = self.path, cwd = self.path, env = self.env })
end

--- Runs it with --json and returns what it printed, decoded.
function Home:ask(...)
  local result = self:run("--json", ...)
  assert(result.code == 0, result.err)
  return core.json.decode(result.out)
end

--- The folder of the installed plugins, or a path below it.
function Home:installed(name)
  return self.path .. "/.local/share/proxylua/plugins" .. (name and "/" .. name or "")
end

--- The list of what is installed, as it stands in its file.
function Home:list()
  return core.json.decode(program.read(self:installed("lock.json"))).plugins
end

--- Where the files of an installed plugin are.
function Home:place(name)
  return self:installed(name .. "/" .. self:list()[name].digest:sub(1, 16))
end

--- Writes the folder of a plugin.
-- @param name of the plugin, and of the folder
-- @param options table, may be left out: version, manifest (text, more fields of it), files (texts
--   by path)
-- @return path
function Home:write(name, options)
  options = options or {}
  local folder = self.path .. "/" .. name
  local files = {
    ["plugin.lua"] = ('return { name = %q, version = %q, description = "a trial", %s }'):format(
      name,
      options.version or "1.0.0", options.manifest or ""),
    ["main.lua"] = "return {}",
  }
  for path, text in pairs(options.files or {}) do files[path] = text end
  for path, text in pairs(files) do
    core.system.make_folder(folder .. "/" .. (path:match("^(.*)/") or ""))
    program.write(folder .. "/" .. path, text)
  end
  return folder
end

--- Writes one and installs it.
function Home:install(name, options)
  local result = self:run("plugin", "install", self:write(name, options), "--yes")
  assert(result.code == 0, result.err)
end

return M
