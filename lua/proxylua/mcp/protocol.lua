-- The Model Context Protocol's messages: JSON-RPC 2.0, one message a line. Revision 2026-07-28 has
-- the version and the client's capabilities in each request; the ones before agree on them at
-- `initialize`.

local core = require "proxylua.core"

local M = {
  --- The revision whose requests stand for themselves.
  MODERN = "2026-07-28",
  --- Those that begin with `initialize`, the newest first.
  SESSIONS = { "2025-11-25", "2025-06-18", "2025-03-26" },
  --- The only one with batches.
  BATCHES = "2025-03-26",
}

--- Codes of JSON-RPC errors.
M.codes = { parse = -32700, request = -32600, method = -32601, params = -32602, internal = -32603,
  busy = -32000, no_resource = -32002, capability = -32021, version = -32022 }

local META <const> = "io.modelcontextprotocol/"

--- Raises a JSON-RPC error, which is the response to the request.
-- @param code name in M.codes
-- @param message text
-- @param data table, may be left out
function M.fail(code, message, data)
  error({ rpc = { code = M.codes[code], message = message, data = data } }, 0)
end

--- The text of a message. Bytes that are not UTF-8 are written as unpaired surrogates.
function M.encode(message)
  return (core.json.encode(message, { bytes = "escape" }))
end

--- The text of the response to what has no usable id.
function M.anonymous(code, message)
  return ('{"error":%s,"id":null,"jsonrpc":"2.0"}'):format(M.encode{ code = M.codes[code],
    message = message })
end

--- Whether a value can be the id of a request.
function M.is_id(id)
  return type(id) == "string" or math.type(id) == "integer"
end

--- What a request says of itself, nil where `initialize` has said it.
-- @param params of the request
-- @return table: version, capabilities, log_level
-- @raise a JSON-RPC error
function M.read_meta(params)
  local meta = params._meta
  local version = type(meta) == "table" and meta[META .. "protocolVersion"]
  if not version then return nil end
  if version ~= M.MODERN then
    M.fail("version", "unsupported protocol version",
      { supported = core.json.array{ M.MODERN }, requested = tostring(version) })
  end
  local capabilities = meta[META .. "clientCapabilities"]
  if type(capabilities) ~= "table" then
    M.fail("params", ("_meta has no %sclientCapabilities"):format(META))
  end
  return { version = version, capabilities = capabilities, log_level = meta[META .. "logLevel"] }
end

--- The version that `initialize` agrees on: the client's, or the newest known.
function M.agree(wanted)
  for _, version in ipairs(M.SESSIONS) do
    if version == wanted then return version end
  end
  return M.SESSIONS[1]
end

--- Completes the result of a request of the modern revision.
-- @param result table, changed in place
-- @param server name and version
function M.complete(result, server)
  result.resultType = result.resultType or "complete"
  result._meta = result._meta or {}
  result._meta[META .. "serverInfo"] = server
  return result
end

return M
