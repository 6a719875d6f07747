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

--- The user's folder of proxylua below one of XDG's.
-- @param variable such as "XDG_DATA_HOME"
-- @param usual path below the home, where the variable is not set: ".local/share"
-- @return path, nil if neither the variable nor HOME has an absolute one
function M.user_folder(variable, usual)
  local base, home = os.getenv(variable), os.getenv("HOME")
  if base and base:find("^/") then return base .. "/proxylua" end
  return home and home:find("^/") and ("%s/%s/proxylua"):format(home, usual) or nil
end

return M
