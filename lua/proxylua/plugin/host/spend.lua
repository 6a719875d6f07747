-- Charges of plugins: within a budget for each plugin, per_run and per_day, inside the user's own
-- limits. The core sums up the journal's entries whose keys begin with the plugin's name, for all
-- processes and machines that share the store. A plugin can use no other keys, and only its own
-- entries count.

local core = require "proxylua.core"

local M = {}

local function key_of(prefix, key)
  if key ~= nil and type(key) ~= "string" then
    core.error.raise{ kind = "usage", message = "key must be a text, got a " .. type(key) }
  end
  return prefix .. (key or core.journal.random_key())
end

function M.open(name, permissions, refuse)
  local prefix, ceiling = ("plugin:%s:"):format(name), permissions.spend

  return function(endpoint, params)
    if type(ceiling) ~= "table" then refuse("spend", "buy anything") end
    local copy = {}
    for field, value in pairs(params) do copy[field] = value end
    copy.key = key_of(prefix, params.key)
    return core.api.call(endpoint, copy, {
      prefix = prefix, per_run = ceiling.per_run or 0, per_day = ceiling.per_day or 0,
    })
  end
end

return M
