-- Where the proxies of a command come from: orders, or a file.

local country_code = require "proxylua.util.country"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"

local M = {}

local AT_ONCE = 8 -- orders whose proxies are fetched

--- Adds the words that choose proxies.
function M.add_to(parser)
  parser:argument("orders", "orders by their ids (default: all active ones)"):args("*"):argname(
    "ORDER")
  parsers.suggest(parser:option("--status", "orders with this status (default: active)"):argname(
    "STATUS"),
    { "active", "pending", "expired", "cancelled" })
  parsers.suggest(parser:option("--type", "orders of this type"):argname("TYPE"),
    { "datacenter", "ipv6", "isp", "mobile", "residential" })
  parser:option("--country", "orders of this country"):argname("COUNTRY")
  parsers.suggest(parser:option("--from",
    "proxies of this file, in any of the formats, and not of orders; "
    .. "- is standard input"):argname("FILE"), "files")
end

local function wanted(order, args)
  return (not args.type or order.type == args.type)
    and (not args.country or country_code(order.country) == country_code(args.country))
end

-- The orders that are asked for, as an iterator.
local function orders_of(args)
  local px = require "proxylua"
  if #args.orders == 0 then
    local each = px.orders.each{ status = args.status or "active" }
    return function()
      local order
      repeat order = each() until not order or wanted(order, args)
      return order
    end
  end
  if args.status or args.type or args.country then
    names.usage("--status, --type and --country choose among orders, and these are named")
  end
  local at = 0
  return function()
    at = at + 1
    return args.orders[at] and { id = args.orders[at] }
  end
end

-- The proxies of orders, a list an order; each is told where it comes from.
local function fetch(args, progress)
  local px = require "proxylua"
  return px.map(orders_of(args), function(order)
    local list = px.orders.proxies(order.id)
    for _, proxy in ipairs(list) do
      proxy.order_id = proxy.order_id or order.id
      proxy.country = proxy.country or order.country
    end
    progress:step()
    return list
  end, { concurrency = AT_ONCE })
end

-- They are fetched when the first is asked for: by then everything else is known to be right.
local function from_orders(args, screen)
  local lists, list, at = nil, 1, 0
  return function()
    if not lists then
      local progress = screen:progress("orders")
      local ok, result = pcall(fetch, args, progress)
      progress:finish()
      if not ok then error(result, 0) end
      lists = result
    end
    at = at + 1
    while lists[list] and not lists[list][at] do list, at = list + 1, 1 end
    return lists[list] and lists[list][at]
  end
end

local function from_file(args)
  if #args.orders > 0 or args.status or args.type or args.country then
    names.usage("--from reads a file, so no orders can be chosen beside it")
  end
  return require("proxylua.proxies").read(args.from)
end

--- The proxies that the words ask for, as an iterator.
-- @param args table of the words
-- @param screen of the command
function M.of(args, screen)
  if args.country and not country_code(args.country) then
    names.usage("--country takes a code of two letters, such as US, got %s", args.country)
  end
  return args.from and from_file(args) or from_orders(args, screen)
end

return M
