-- The API for plugins: what only reads goes with the permission `read`.

local M = {}

function M.open()
  return {}
end

return M
