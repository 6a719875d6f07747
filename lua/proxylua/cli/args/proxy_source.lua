-- The proxies for a command: from orders, or from files.

local core = require "proxylua.core"
local country_code = require "proxylua.util.country"
local known = require "proxylua.cli.args.known"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"

local M = {}

local AT_ONCE <const> = 8 -- orders whose proxies are fetched at the same time
local LISTED <const> = 1000 -- orders that are listed before the first one is fetched
local protocols <const> = { "http", "https", "socks4", "socks4a", "socks5", "socks5h" }
local SHOWN <const> = 20  -- bad lines in a message
local COPIED <const> = 1 << 16 -- bytes at a time

--- Adds the arguments and options that choose proxies.
function M.add_to(parser)
  parsers.suggest(parser:argument("orders", "orders by their ids (default: all active ones)")
    :args("*"):argname("ORDER"), known.orders)
  parsers.suggest(parser:option("--status", "orders with this status (default: active)"):argname(
    "STATUS"),
    { "active", "pending", "expired", "cancelled" })
  parsers.suggest(parser:option("--type", "orders of this type"):argname("TYPE"),
    { "datacenter", "ipv6", "isp", "mobile", "residential" })
  parsers.suggest(parser:option("--country", "orders of this country"):argname("COUNTRY"),
    known.countries)
  parsers.suggest(parser:option("--from",
    "read proxies from this file, in any of the formats, instead of from orders (-: standard "
    .. "input); may be repeated"):argname("FILE"):count("*"), "files")
  parsers.suggest(parser:option("--protocol",
    "protocol of proxies of --from that do not give one (default: http)"):argname("PROTOCOL")
    :choices(protocols), protocols)
  parser:flag("--skip-bad",
    "report invalid lines and failed orders, and continue without them")
    :target("skip_bad")
  parser:flag("--allow-empty", "write the file even if there are no proxies"):target("allow_empty")
end

local function wanted(order, args)
  return (not args.type or order.type == args.type)
    and (not args.country or country_code(order.country) == country_code(args.country))
end

-- The requested orders, as an iterator.
local function orders_of(args, screen)
  local px = require "proxylua"
  if #args.orders == 0 then
    local each = px.orders.each{ status = args.status or "active",
      on_problem = screen:reporter() }
    return function()
      local order
      repeat order = each() until not order or wanted(order, args)
      return order
    end
  end
  if args.status or args.type or args.country then
    names.usage("--status, --type and --country cannot be used with order ids")
  end
  local at = 0
  return function()
    at = at + 1
    return args.orders[at] and { id = args.orders[at] }
  end
end

-- The usable proxies of an order; the others are reported.
local function usable_proxies(order, screen)
  local usable = {}
  for at, proxy in ipairs(require("proxylua").orders.proxies(order.id)) do
    if proxy.unreadable then
      screen:problem(core.error.new{ kind = "protocol", endpoint = "orders.proxies",
        message = ("order %s: proxy %d cannot be used: %s"):format(order.id, at,
          proxy.unreadable) })
    else
      usable[#usable + 1] = proxy
    end
  end
  return usable
end

-- The proxies of an order, with the fields of the order.
local function fetch(order, screen)
  local list = usable_proxies(order, screen)
  for _, proxy in ipairs(list) do
    proxy.order_id = proxy.order_id or order.id
    proxy.country = proxy.country or order.country
  end
  if #list == 0 then
    core.error.raise{ kind = "not_found", message = ("order %s has no proxies"):format(
      order.id) }
  end
  return list
end

-- The number of an order's proxies, nil if unknown before they are fetched.
local function size_of(order)
  if order.type == "residential" or math.type(order.quantity) ~= "integer" then return nil end
  return order.quantity
end

local function count_order(given, size)
  given.expected = given.expected + (size or 0)
  if not size then given.unsized = given.unsized + 1 end
end

-- The total is known when the size of every order is known.
local function correct_count(given, size, found)
  given.expected = given.expected - (size or 0) + found
  if not size then given.unsized = given.unsized - 1 end
  given.total = given.is_listed and given.unsized == 0 and given.expected or nil
end

-- Lists the first orders before their proxies are fetched, so that there is a total; the rest only
-- as needed. An error of the list is raised when its place is reached.
local function list_ahead(given, next_order)
  local listed, at, problem = {}, 0, nil
  local function list()
    local ok, order = pcall(next_order)
    if not ok then
      problem = order
    elseif order then
      local size = size_of(order)
      count_order(given, size)
      listed[#listed + 1] = { id = order.id, country = order.country, size = size }
      return true
    end
    given.is_listed = true
  end
  repeat until #listed == LISTED or not list()
  return function()
    if at == #listed and not given.is_listed then
      listed, at = {}, 0
      list()
    end
    at = at + 1
    if listed[at] then return listed[at] end
    if problem then error(problem, 0) end
  end
end

-- Fetches some orders ahead of the one whose proxies are used.
local function each_list(given, args)
  local px, screen = require "proxylua", given.screen
  local next_order, ahead, first, last = list_ahead(given, orders_of(args, screen)), {}, 1, 0
  return function()
    while next_order and last - first + 1 < AT_ONCE do
      local order = next_order()
      if order then
        last = last + 1
        ahead[last] = { order = order, task = px.spawn(pcall, fetch, order, screen) }
      else
        next_order = nil
      end
    end
    local one = ahead[first]
    if not one then return nil end
    ahead[first], first = nil, first + 1
    local ok, list = one.task:join()
    return one.order, ok, list
  end
end

-- An order that fails is reported, and the others continue; the error is raised at the end.
local function note_failure(given, order, err)
  if not core.error.is(err) or err.kind == "cancelled" then error(err, 0) end
  given.failure = given.failure or err
  given.failures = given.failures + 1
  given.screen:note("order %s: %s", order.id, err.message)
end

local function from_orders(given, args)
  local next_list, list, at
  return function()
    next_list = next_list or each_list(given, args)
    while true do
      if list and list[at + 1] then
        at = at + 1
        return list[at]
      end
      local order, ok, result = next_list()
      if not order then return nil end
      list, at = nil, 0
      correct_count(given, order.size, ok and #result or 0)
      if ok then
        given.orders = given.orders + 1
        list = result
      elseif #args.orders == 1 and not args.skip_bad then
        error(result, 0)
      else
        note_failure(given, order, result)
      end
    end
  end
end

-- Input that can be read only once is copied to an unnamed file of this process.
local function spool(path)
  local name = path == "-" and "standard input" or path
  local from, why = core.file.source(path)
  if not from then names.usage("cannot read %s: %s", name, why) end
  local copy, reason = io.tmpfile()
  if not copy then names.usage("cannot store a copy of %s: %s", name, reason) end
  while true do
    local text, problem = from:read(COPIED)
    if problem then names.usage("cannot read %s: %s", name, problem) end
    if not text then break end
    local ok, trouble = copy:write(text)
    if not ok then names.usage("cannot store a copy of %s: %s", name, trouble) end
  end
  from:close()
  return { name = name, again = function(self)
    copy:seek("set")
    return self
  end, read = function(_, count) return copy:read(count) end }
end

local function is_file(path)
  return path ~= "-" and core.system.kind(path) == "file"
end

local function input_of(path, is_read_once)
  if is_read_once or is_file(path) then
    return { again = function() return path end, name = path == "-" and "standard input" or path }
  end
  return spool(path)
end

-- The records of all inputs, one input after another. An input without records is reported as an
-- error without name and line.
local function each_record(inputs, protocol, on_bad, on_skip)
  local proxies = require "proxylua.proxies"
  local at, next_record, name = 0, nil, nil
  local function step()
    if next_record then return next_record() end
    at = at + 1
    if not inputs[at] then return nil, true end
    name = inputs[at].name
    next_record = proxies.each(inputs[at]:again(), { protocol = protocol,
      on_bad = function(line, why) on_bad(name, line, why) end, on_skip = on_skip,
    })
    return next_record()
  end
  return function()
    while true do
      local ok, record, ended = pcall(step)
      if not ok then
        if not core.error.is(record) or record.code ~= "empty" then error(record, 0) end
        on_bad(nil, nil, record.message)
        next_record = nil
      elseif record then
        return record
      elseif ended then
        return nil
      else
        next_record = nil
      end
    end
  end
end

local function place(name, line, why)
  if not name then return why end
  return (line and "%s:%d: %s" or "%s:%s %s"):format(name, line or "", why)
end

-- Reads everything once before anything is done.
local function look_through(given, inputs, protocol, allow_empty)
  local bad, count = {}, 0
  local function on_bad(name, line, why)
    if allow_empty and not name then return end
    count = count + 1
    if #bad < SHOWN then bad[#bad + 1] = place(name, line, why) end
  end
  for _ in each_record(inputs, protocol, on_bad) do given.total = (given.total or 0) + 1 end
  if count == 0 then return end
  local more = count > #bad and ("\n%d more"):format(count - #bad) or ""
  local text = table.concat(bad, "\n") .. more
  local empty = not given.total and count == 1 and bad[1]:find("holds no proxies", 1, true)
  core.error.raise{ kind = "usage", code = empty and "empty" or nil,
    message = text .. "\nnothing was done; --skip-bad continues without " .. (count == 1 and "it"
    or "them") }
end

-- Each proxy once, even if it is in the files several times.
local function only_once(given, next_record)
  local seen = core.decode.seen()
  return function()
    while true do
      local record = next_record()
      if not record then return nil end
      if seen:add(record.url) then return record end
      given.duplicates = given.duplicates + 1
    end
  end
end

local function from_files(given, args)
  if #args.orders > 0 or args.status or args.type or args.country then
    names.usage("--from cannot be used together with orders")
  end
  local protocol, next_record = args.protocol, nil
  return function()
    if not next_record then
      local inputs = {}
      for at, path in ipairs(args.from) do inputs[at] = input_of(path, args.skip_bad) end
      if not args.skip_bad then look_through(given, inputs, protocol, args.allow_empty) end
      next_record = only_once(given, each_record(inputs, protocol, function(name, line, why)
        if name then given.bad = given.bad + 1 end
        given.screen:note("%s", place(name, line, why))
      end, function(_, what)
        given.skipped[what] = (given.skipped[what] or 0) + 1
      end))
    end
    return next_record()
  end
end

local Given = {}
Given.__index = Given

local function plural(count, word)
  return ("%d %s%s"):format(count, word, count == 1 and "" or "s")
end

--- Reports what was skipped.
function Given:report()
  local screen = self.screen
  if self.duplicates > 0 then screen:note("%s dropped", plural(self.duplicates, "duplicate")) end
  local list = {}
  for what, count in pairs(self.skipped) do list[#list + 1] = ("%d %s"):format(count, what) end
  table.sort(list)
  if #list > 0 then screen:note("skipped entries that are not proxies: %s", table.concat(list,
    ", ")) end
  if self.bad > 0 then screen:note("%s skipped", plural(self.bad, "bad line")) end
end

--- Raises the first error of an order, once the others are done.
function Given:raise_failure()
  if self.failure and not self.skip_bad then error(self.failure, 0) end
end

--- The requested proxies.
-- @param args table of the words
-- @param screen of the command
-- @return iterator
-- @return table: total, if known before; methods report and raise_failure
function M.of(args, screen)
  if args.country and not country_code(args.country) then
    names.usage("--country takes a code of two letters, such as US, got %s", args.country)
  end
  local given = setmetatable({ screen = screen, skip_bad = args.skip_bad, duplicates = 0, bad = 0,
    skipped = {}, orders = 0, failures = 0, expected = 0, unsized = 0 }, Given)
  local from = args.from and #args.from > 0
  if args.protocol and not from then names.usage("--protocol belongs to --from") end
  return from and from_files(given, args) or from_orders(given, args), given
end

return M
