-- The environment for plugins: the variables that were granted by name, and none of proxylua's.

local M = {}

function M.open(_, permissions, refuse)
  local granted = {}
  for _, name in ipairs(permissions.env or {}) do granted[name] = true end
  return {
    env = function(name)
      if type(name) ~= "string" or not granted[name] or name:find("^PROXYLUA_") then
        refuse("env", "read the variable " .. tostring(name))
      end
      return os.getenv(name)
    end,
  }
end

return M
