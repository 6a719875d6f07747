-- `proxylua api METHOD PATH`: requests that the endpoint table does not have, through the same API
-- client: authenticated, limited, and under the same rules for money.

local core = require "proxylua.core"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"

local M = {}

-- The path up to its first parameter.
local function known_paths()
  local list, seen = {}, {}
  for _, row in ipairs(core.endpoints()) do
    local path = row.path:match("^[^:]*")
    if not seen[path] then list[#list + 1] = path end
    seen[path] = true
  end
  return list
end

function M.parser(parser)
  local method = parser:argument("method", "GET, POST, …"):argname("METHOD")
  parsers.suggest(method, { "GET", "POST", "PUT", "PATCH", "DELETE" })
  local path = parser:argument("path", "path below the base URL, such as "
    .. "/orders?status=active"):argname(
    "PATH")
  parsers.suggest(path, known_paths)
  parser:option("-f --field",
    "a field of the query (GET, HEAD, DELETE) or of the JSON body; KEY:=VALUE takes JSON")
    :argname("KEY=VALUE"):count("*"):target("fields")
  parser:option("--key", "idempotency key of a charge"):argname("KEY"):target("key")
  parser:option("--max-price", "maximum cost; required unless it only reads"):argname(
    "AMOUNT")
    :target("max_price")
  parser:flag("--reveal", "show passwords on a terminal too"):target("reveal")
  parsers.example(parser, "api GET /orders -f status=active",
    "api POST /orders/calc -f type=isp -f quantity:=10")
end

local function read_json(name, text)
  local ok, value = pcall(core.json.decode, text)
  if not ok then names.usage("-f %s: %s is not JSON", name, text) end
  return value
end

local function read_fields(list)
  if #list == 0 then return nil end
  local fields = {}
  for _, text in ipairs(list) do
    local name, typed, value = text:match("^([^=:]+)(:?)=(.*)$")
    if not name then names.usage("-f takes KEY=VALUE or KEY:=JSON, got %s", text) end
    if typed == ":" then value = read_json(name, value) end
    fields[name] = value
  end
  return fields
end

local in_query = { GET = true, HEAD = true, DELETE = true }

-- A text may be a download: it cannot be known which of its words are passwords.
local function check_text(result, screen)
  if not screen.masked or type(result) ~= "string" or result == "" then return end
  names.usage("the response is a text, which may contain passwords: send it to a file or a pipe, "
    .. "or show it with --reveal")
end

function M.run(args, context)
  local method, fields = args.method:upper(), read_fields(args.fields)
  local result = core.api.request{
    method = method, path = args.path, key = args.key, max_price = args.max_price,
    query = in_query[method] and fields or nil,
    json = not in_query[method] and fields or nil,
  }
  if in_query[method] then check_text(result, context.screen) end
  -- A list has the numbers of its page as fields.
  local is_list = type(result) == "table" and not core.money.is(result)
    and (#result > 0 or result.has_more ~= nil)
  if is_list then return context.screen:list(nil, result) end
  context.screen:value(nil, result)
end

return M
