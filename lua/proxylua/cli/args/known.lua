-- What the store knows, for completion: keys, orders, pools and countries of the newest purchases.
-- It needs no API key, sends no request, and does not create a store.

local core = require "proxylua.core"
local country_code = require "proxylua.util.country"

local M = {}

local MOST <const> = 100 -- of the newest entries

-- The newest entries of the journal; none if the store is a server, which may be slow to respond.
local function entries(state)
  local config = require "proxylua.settings"
  local settings = config.read{}
  settings.api_key_command = nil
  if core.system.kind(settings.store or config.state_folder() .. "/state.db") ~= "file" then
    return {}
  end
  core.api.configure(settings)
  local list = {}
  for entry in require("proxylua").journal.each{ state = state, newest = true } do
    list[#list + 1] = entry
    if #list == MOST then break end
  end
  return list
end

-- A function that returns what `read` finds in the entries, each once.
local function from_entries(read, state)
  return function()
    local list, seen = {}, {}
    for _, entry in ipairs(entries(state)) do
      local text = read(entry)
      if text and not seen[text] then
        seen[text] = true
        list[#list + 1] = text
      end
    end
    return list
  end
end

--- The keys of purchases.
-- @param state of the journal's entries, nil: any
-- @return function that returns a list of texts
function M.keys(state)
  return from_entries(function(entry) return entry.key end, state)
end

--- The ids of orders that were bought, the newest first.
M.orders = from_entries(function(entry) return entry.order_id end)

--- The names of pools that bought something.
M.pools = from_entries(function(entry) return entry.key:match("^fleet/([^/]+)/%d+$") end)

--- The countries of purchases.
M.countries = from_entries(function(entry)
  return country_code(entry.params and entry.params:match('"country":%s*"(%a%a)"'))
end)

return M
