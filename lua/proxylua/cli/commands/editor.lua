-- `proxylua init`: shows editors where the types of px are, by a .luarc.json in this folder.

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local paths = require "proxylua.util.path"

local M = { bare = true }

local SETTINGS <const> = ".luarc.json"

function M.parser(parser)
  parsers.example(parser, "init")
end

-- The folder of the types that were installed with this program; nil without one.
local function installed()
  local bin = paths.parent(core.system.real_path("/proc/self/exe") or "")
  local folder = bin and paths.parent(bin) and paths.parent(bin) .. "/share/proxylua/types"
  local file = folder and io.open(folder .. "/proxylua.lua")
  if not file then return nil end
  file:close()
  return folder
end

-- A folder with the types of this program, for one that was not installed.
local function written()
  local data = paths.user_folder("XDG_DATA_HOME", ".local/share")
    or names.usage("no folder for the types: neither XDG_DATA_HOME nor HOME is set")
  local folder = data .. "/types"
  core.system.make_folder(folder)
  core.system.write_file(folder .. "/proxylua.lua", require("proxylua.help.types").text())
  return folder
end

function M.run(_, context)
  local file = io.open(SETTINGS)
  if file then
    file:close()
    names.usage("%s exists already; add the folder %s to its workspace.library", SETTINGS,
      installed() or written())
  end
  local folder = installed() or written()
  core.system.write_file(SETTINGS, core.json.encode({
    ["runtime.version"] = "Lua 5.4", ["workspace.library"] = { folder },
    ["diagnostics.globals"] = { "px" },
  }, { indent = 2 }) .. "\n")
  if context.screen:is_data() then
    return context.screen:record(nil, { file = SETTINGS, types = folder })
  end
  context.screen:note("%s: editors with lua-language-server find the types in %s", SETTINGS, folder)
end

return M
