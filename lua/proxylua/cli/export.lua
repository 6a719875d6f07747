-- `proxylua export`: proxies of orders, or of a file, in the format of what they are fed to.

local core = require "proxylua.core"
local export = require "proxylua.export"
local names = require "proxylua.names"
local parsers = require "proxylua.cli.parser"
local tables = require "proxylua.cli.table"

local M = { summary = "proxies in the formats of other programs" }

local AT_ONCE = 8 -- orders whose proxies are fetched

local function format_names()
  local list = {}
  for at, format in ipairs(export.formats()) do list[at] = format.name end
  return list
end

function M.parser(parser)
  parser:argument("orders", "orders by their ids (default: all active ones)"):args("*"):argname("ORDER")
  parsers.suggest(parser:option("-f --format", "what to write (default: url): " .. table.concat(format_names(), ", "))
    :argname("FORMAT"), format_names())
  parser:option("--template", "a line of your own for each proxy, such as '%login%:%password%@%ip%:%port%'")
    :argname("TEMPLATE")
  parser:option("--url", "for curl: what each of several proxies is to fetch"):argname("URL")
  parsers.suggest(parser:option("--status", "orders with this status (default: active)"):argname("STATUS"),
    { "active", "pending", "expired", "cancelled" })
  parsers.suggest(parser:option("--type", "orders of this type"):argname("TYPE"),
    { "ipv4", "ipv6", "isp", "mobile", "residential" })
  parser:option("--country", "orders of this country"):argname("COUNTRY")
  parsers.suggest(parser:option("-o --output", "the file to write, whole or not at all, readable for you alone")
    :argname("FILE"), "files")
  parsers.suggest(parser:option("--from", "proxies of this file, in any of the formats, and not of orders; "
    .. "- is standard input"):argname("FILE"), "files")
  parser:flag("--reveal", "show passwords on a terminal too"):target("reveal")
  parsers.example(parser, "export --format clash -o clash.yaml", "export --from proxies.txt --format proxychains")
end

-- --- where they come from ---

local function wanted(order, args)
  return (not args.type or order.type == args.type)
    and (not args.country or tostring(order.country):upper() == args.country:upper())
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

-- --- where they go ---

local function masked(next_proxy)
  return function()
    local proxy = next_proxy()
    return proxy and tables.mask(proxy)
  end
end

local function check(args)
  if args.format and args.template then names.usage("--format and --template are two forms; give one of them") end
end

function M.run(args, context)
  local screen = context.screen
  check(args)
  local options = { format = args.format, template = args.template, url = args.url }
  local proxies = args.from and from_file(args) or from_orders(args, screen)
  if args.output then
    local progress = screen:progress("written")
    local before = 0
    options.progress = function(count)
      progress:step(count - before)
      before = count
    end
    local ok, result = pcall(export.file, proxies, args.output, options)
    progress:finish()
    if not ok then error(result, 0) end
    return screen:note("%d proxies in %s", result, args.output)
  end
  if screen.masked then proxies = masked(proxies) end
  local count = export.stream(proxies, core.system.write, options)
  if screen.masked then screen:note("passwords are masked; -o FILE or --reveal writes them") end
  if count == 0 then screen:note("there are none") end
end

return M
