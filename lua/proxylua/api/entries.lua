-- Reads some entries of the journal by index, in a time that does not grow with the journal: those
-- of given orders, or those whose keys begin alike.

local core = require "proxylua.core"

local M = {}

local CHUNK <const> = 1000 -- texts that one query names, and entries that it returns

-- Iterates over the entries that match any of the texts, in queries of CHUNK texts each.
local function each(field, texts)
  local from, query, list, at = 1, nil, {}, 0
  return function()
    while at == #list do
      if not query then
        if from > #texts then return nil end
        query = { limit = CHUNK,
          [field] = core.json.encode(table.move(texts, from, from + CHUNK - 1, 1, {})) }
        from = from + CHUNK
      end
      local after
      list, after = core.journal.list(query)
      at, query.after = 0, after
      query = after and query
    end
    at = at + 1
    return list[at]
  end
end

--- The placed entries of orders, oldest first within each thousand orders. While the account is not
-- known yet, the entries of all orders are returned.
-- @param ids list of order ids
-- @return iterator function
-- @raise store
function M.of_orders(ids)
  return each("orders", ids)
end

--- For each stem (a key without the number at its end): the placed purchases whose orders are not
-- retired, the placed entry with the highest number, and the entry with the highest number. While
-- the account is not known yet, all entries are returned.
-- @param stems list of texts, such as "fleet/us/"
-- @return iterator function
-- @raise store
function M.of_stems(stems)
  return each("stems", stems)
end

--- Marks purchases as retired, because their orders have ended. M.of_stems leaves them out.
-- @param ids list of order ids
-- @raise store
function M.retire(ids)
  for from = 1, #ids, CHUNK do
    core.journal.retire(core.json.encode(table.move(ids, from, from + CHUNK - 1, 1, {})))
  end
end

--- The id of the order that an entry extends, from its path.
-- @param entry
-- @return id, or nil if the entry is not an extension
function M.extended_order(entry)
  local id = entry.params:match("^%S+ /orders/([^/%s]+)/extend")
  return id and (id:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

--- Returns the first key with a prefix that is greater than another key, compared by bytes.
-- @param prefix text
-- @param after key, or nil for the first key with the prefix
-- @return key, or nil if there are no more
-- @raise store
function M.next_key(prefix, after)
  local query = { prefix = prefix, after_key = after, limit = 1 }
  repeat
    local list, more = core.journal.list(query)
    if list[1] then return list[1].key end
    query.after_key = type(more) == "string" and more or query.after_key
    query.after = math.tointeger(more)
  until not more
end

return M
