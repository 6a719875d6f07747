-- Whoever makes one file of others keeps those.

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

--- Refuses to write a file over one that it is made of.
-- @param output path
-- @param files list of tables, whose `path` says where each is from
-- @raise usage
function M.check(output, files)
  local there = core.system.real_path(output)
  for _, file in ipairs(files) do
    if there and there == core.system.real_path(file.path) then
      names.usage("-o %s would replace what it is made of; name another file", output)
    end
  end
end

return M
