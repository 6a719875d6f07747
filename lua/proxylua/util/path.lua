-- Paths as people write them.

local M = {}

--- A path whose ~/ at the beginning is the home of the user.
function M.expand(path)
  local rest = path:match("^~/(.*)$")
  return rest and (os.getenv("HOME") or "") .. "/" .. rest or path
end

--- The folder of a path with a slash, else nil.
function M.parent(path)
  return path and path:match("^(.*)/[^/]*$")
end

return M
