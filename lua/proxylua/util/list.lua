-- Lists made of tables.

local M = {}

--- The keys of a table, sorted; of nil none.
function M.keys(set)
  local list = {}
  for key in pairs(set or {}) do list[#list + 1] = key end
  table.sort(list)
  return list
end

return M
