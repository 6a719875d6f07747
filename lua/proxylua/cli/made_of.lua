-- Refuses to overwrite an input file with the output.

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

--- Refuses to write a file over one of its inputs.
-- @param output path
-- @param files list of tables with `path`, the source of each
-- @raise usage
function M.check(output, files)
  local there = core.system.real_path(output)
  for _, file in ipairs(files) do
    if there and there == core.system.real_path(file.path) then
      names.usage("-o %s would overwrite an input file; name another file", output)
    end
  end
end

return M
