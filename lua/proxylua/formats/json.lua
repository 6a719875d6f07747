-- JSON: a list of records, one a line, as the program writes it; and any other document with
-- records in it.

local address = require "proxylua.proxies.address"
local document = require "proxylua.formats.document"
local text = require "proxylua.formats.common"

local M = { name = "json", extension = "json", summary = "a JSON list of records, one a line" }

local function optional(name, value)
  return value and ',"' .. name .. '":' .. (text.quote(tostring(value)) or "null") or ""
end

local function record(proxy, _, before)
  local login, why = text.login_pairs(proxy)
  if not login then return nil, why end
  return before .. '{"host":"' .. proxy.host .. '","port":' .. proxy.port .. login
    .. ',"protocol":"' .. proxy.protocol
    .. '","url":"' .. address.url(proxy) .. '"' .. optional("country", proxy.country)
    .. optional("order_id", proxy.order_id) .. "}"
end

function M.new() return text.between("[\n", record, "\n]\n") end

function M.read(reader, context)
  return document.records("json", reader, context.protocol)
end

return M
