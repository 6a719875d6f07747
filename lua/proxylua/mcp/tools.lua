-- The tools: one for each endpoint of the API, and one for each of the workflows. Each has a name,
-- a title, a description, schemas of its arguments and its result, hints for clients, and `run`, a
-- function of the call and its arguments that returns a table.

local core = require "proxylua.core"
local endpoints = require "proxylua.api.endpoints"
local purchase = require "proxylua.mcp.purchase"
local schema = require "proxylua.mcp.schema"

local M = {}

local array, object = core.json.array, schema.object
local text, flag = { type = "string" }, { type = "boolean" }

local function described(part, description)
  local copy = { description = description }
  for name, value in pairs(part) do copy[name] = value end
  return copy
end

local function hints(kind)
  return { readOnlyHint = kind == "read", destructiveHint = kind == "spend",
    idempotentHint = kind ~= "create", openWorldHint = true }
end

-- --- endpoints ---

-- orders.list -> orders, account.transactions -> transactions
local function plural_of(row)
  local group, name = row.name:match("^(.-)%.(.+)$")
  return name == "list" and group or name
end

-- A list as an object; records that cannot be used stand apart, as far as they are known.
local function page_of(row, list)
  local usable, unusable = array{}, array{}
  for _, record in ipairs(list) do
    local into = type(record) == "table" and record.unreadable and unusable or usable
    into[#into + 1] = record
  end
  return { [plural_of(row)] = usable, unusable = #unusable > 0 and unusable or nil,
    page = list.page, total = list.total, has_more = list.has_more }
end

local function result_schema(row)
  if not row.list then
    local whole = schema.record(row)
    if row.class == "charge" then
      whole.properties.key = described(text, "key under which it was placed")
      whole.properties.repeated = described(flag, "true: an earlier call placed it; this one cost "
        .. "nothing")
    end
    return whole
  end
  local items = row.record == "reference" and {} or schema.record(row)
  return object({ [plural_of(row)] = { type = "array", items = items } }, { plural_of(row) }, true)
end

local function input_schema(row)
  local properties, required = {}, array{}
  for _, param in ipairs(row.params) do
    properties[param.name] = schema.param(param)
    if param.required then required[#required + 1] = param.name end
  end
  if row.class == "charge" then
    properties.key = { type = "string", minLength = 1, maxLength = 200, description =
      "a name for this purchase; the same key never buys twice. Without one, the same call in the "
      .. "same session returns the same order" }
    properties.max_price = { type = "number", minimum = 0,
      description = "refuse if it costs more than this" }
  end
  return object(properties, required)
end

local function call_endpoint(row, arguments)
  local group, name = row.name:match("^(.-)%.(.+)$")
  local params, path = {}, {}
  for key, value in pairs(arguments) do params[key] = value end
  for _, param in ipairs(row.params) do
    if param.where == "path" then
      path[#path + 1] = params[param.name]
      params[param.name] = nil
    end
  end
  path[#path + 1] = params
  return (endpoints[group][name](table.unpack(path)))
end

local kinds = { safe = "read", once = "create", charge = "spend" }

local function endpoint_tool(row)
  local kind = row.method == "GET" and "read" or kinds[row.class]
  return {
    name = row.name:gsub("%.", "_"), title = row.name:gsub("[._]", " "),
    description = row.summary .. (kind == "spend"
      and ". Spends money, within the limits that the server was started with" or ""),
    input = input_schema(row), output = result_schema(row), kind = kind,
    run = function(call, arguments)
      if kind == "spend" then return purchase.charge(call, row, arguments) end
      local result = call_endpoint(row, arguments)
      return row.list and page_of(row, result) or result
    end,
  }
end

-- --- workflows ---

local function workflow(tools, kind, name, description, properties, required, run)
  tools[#tools + 1] = { name = name, title = name:gsub("_", " "), description = description,
    input = object(properties, required), output = object({}, nil, true), kind = kind, run = run }
end

local duration = { type = "string", minLength = 1, description = "a duration, such as 12h or 3d" }
local country = { type = "string", minLength = 2, maxLength = 2,
  description = "two letters, such as US" }
local amount = { type = "number", minimum = 0 }

local pool = object({
  name = described(text, "of the pool: letters, digits and . _ -"), type = text, country = country,
  quantity = { type = "integer", minimum = 0, description = "how many proxies it should have" },
  period = { type = "integer", minimum = 1, description = "days" },
  renew_before = described(duration, "extend orders that expire within this duration"),
  max_unit_price = amount, max_total = amount,
  batch = { type = "integer", minimum = 1, description = "largest quantity of one order" },
}, { "name", "type", "quantity" })

local fleet_input = { pools = { type = "array", items = pool, minItems = 1 },
  ignore_existing = described(flag, "buy although matching orders exist that belong to no pool") }

local function with(properties, name, part)
  local copy = { [name] = part }
  for key, value in pairs(properties) do copy[key] = value end
  return copy
end

local function add_fleet(tools)
  local run = require "proxylua.fleet.run"
  workflow(tools, "read", "fleet_plan",
    "what has to be bought and extended so that pools of proxies have their quantity; buys nothing",
    fleet_input, { "pools" }, function(call, arguments)
      local options = purchase.plan_options(call)
      options.ignore_existing = arguments.ignore_existing
      return run.plan(arguments.pools, options)
    end)
  workflow(tools, "spend", "fleet_apply",
    "buy and extend so that pools of proxies have their quantity; calling it again buys nothing "
    .. "twice", with(fleet_input, "max_total", described(amount, "refuse if all of it costs more")),
    { "pools" }, function(call, arguments)
      local options = purchase.plan_options(call, arguments.max_total, "Buy and extend proxies")
      options.ignore_existing = arguments.ignore_existing
      local report = run.run(arguments.pools, options)
      report.plan = options.plan
      return report
    end)
end

local renew_input = {
  within = described(duration, "orders that expire within this duration, such as 3d"),
  period = { type = "integer", minimum = 1, description = "days by which they are extended (30)" },
  type = described(text, "only orders of this type"), country = country,
  pool = described(text, "only orders of this pool"),
}

local function add_renew(tools)
  local renew = require "proxylua.fleet.renew"
  local function wanted(arguments)
    local copy = {}
    for name, value in pairs(arguments) do copy[name] = value end
    copy.max_total = nil
    return copy
  end
  workflow(tools, "read", "renew_plan",
    "which orders would be extended because they expire soon, and the price; extends nothing",
    renew_input, { "within" }, function(call, arguments)
      local options, stop = purchase.plan_options(call), {}
      function options.planned(plan)
        options.plan = plan
        error(stop, 0)
      end
      local ok, err = pcall(renew.run, wanted(arguments), options)
      if not ok and err ~= stop then error(err, 0) end
      return options.plan
    end)
  workflow(tools, "spend", "renew", "extend orders that expire soon; each once for its expiry date",
    with(renew_input, "max_total", described(amount, "refuse if all of it costs more")),
    { "within" }, function(call, arguments)
      local options = purchase.plan_options(call, arguments.max_total, "Extend orders")
      return renew.run(wanted(arguments), options)
    end)
end

local function proxies_of(arguments)
  if arguments.proxies and arguments.orders then
    require("proxylua.util.names").usage("orders and proxies are two sources; give one of them")
  end
  if arguments.proxies then return arguments.proxies end
  local px = require "proxylua"
  local ids = arguments.orders
  local each = not ids and px.orders.each{ status = "active" }
  local at, list, position = 0, {}, 0
  return function()
    while position >= #list do
      at = at + 1
      local id
      if ids then
        id = ids[at]
      else
        local order = each()
        id = order and order.id
      end
      if not id then return nil end
      list, position = px.orders.proxies(id), 0
      for _, proxy in ipairs(list) do proxy.order_id = id end
    end
    position = position + 1
    return list[position]
  end
end

local source = {
  orders = { type = "array", items = text, description = "ids; without them all active orders" },
  proxies = { type = "array", items = text, description = "URLs, instead of orders" },
}

local SHOWN <const> = 100 -- failures that a result names

local function check_proxies(call, arguments)
  local check = require "proxylua.check"
  local done, failures = 0, array{}
  local options = { url = arguments.url, expect = arguments.expect, country = arguments.country,
    timeout = arguments.timeout, max_latency = arguments.max_latency }
  function options.each(result)
    done = done + 1
    call:progress(done, arguments.proxies and #arguments.proxies, "proxies checked")
    if result.works or #failures >= SHOWN then return end
    failures[#failures + 1] = { host = result.host, port = result.port, username = result.username,
      order_id = result.order_id, reason = result.reason, message = result.message }
  end
  local summary = check.run(proxies_of(arguments), options)
  summary.failures = failures
  return summary
end

local function add_check(tools)
  local input = { url = described(text, "page that is fetched through each"),
    expect = described(text, "what the page must have: a text, /pattern/ or a status"),
    country = country, timeout = duration, max_latency = duration }
  for name, part in pairs(source) do input[name] = part end
  workflow(tools, "read", "check", "test proxies: how many work, how fast, and why others do not",
    input, nil, check_proxies)
end

local function add_export(tools, session)
  if not session.folder then return end
  local px_export = require "proxylua.proxies.export"
  local formats = array{}
  for at, format in ipairs(px_export.formats()) do formats[at] = format end
  workflow(tools, "create", "export",
    "write proxies with their passwords to a file in the folder that the server was started with",
    with(source, "file", { type = "string", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$", minLength = 1,
      maxLength = 100, description = "name of the file, without folders" }), { "file" },
    function(_, arguments)
      local name = arguments.file
      if not name:find("^%w[%w._-]*$") then
        require("proxylua.util.names").usage("file is a name of letters, digits and . _ -, got %s",
          name)
      end
      local path = session.folder .. "/" .. name
      return { file = path, proxies = px_export.file(proxies_of(arguments), path,
        { format = arguments.format }) }
    end)
  tools[#tools].input.properties.format = { type = "string", examples = formats,
    description = "by the name of the file, otherwise url" }
end

local function add_reading(tools)
  workflow(tools, "read", "report", "what was spent, on what, and how long the balance lasts",
    { since = described(text, "first day: a date, or a duration such as 7d (30d)"),
      till = described(text, "last day: a date, or how long ago (today)") }, nil,
    function(call, arguments)
      local options = { since = arguments.since, till = arguments.till }
      function options.progress(what, count) call:progress(count, nil, what) end
      return require("proxylua.report").build(options)
    end)
  workflow(tools, "read", "limits", "how many requests the rate limit allows now", {}, nil,
    function() return core.api.limits() end)
  workflow(tools, "read", "journal_list", "purchases that this store knows, the newest first",
    { state = { type = "string", enum = array{ "open", "intent", "sent", "unknown", "placed",
      "not_placed" } }, limit = { type = "integer", minimum = 1, maximum = 200 } }, nil,
    function(_, arguments)
      local entries = array{}
      for entry in require("proxylua.api.journal").each{ state = arguments.state, newest = true } do
        entry.answer, entry.snapshot = nil, nil
        entries[#entries + 1] = entry
        if #entries >= (arguments.limit or 50) then break end
      end
      return { entries = entries }
    end)
  workflow(tools, "read", "journal_get", "the journal's entry of a key",
    { key = described(text, "of the purchase") }, { "key" }, function(_, arguments)
      local entry = require("proxylua.api.journal").get(arguments.key)
      if entry then return entry end
      core.error.raise{ kind = "not_found", message = "the journal has no entry of this key" }
    end)
end

--- All tools of a session, in an order that stays.
-- @param session with `read_only` and `folder`
-- @return list
-- @return table: name -> tool
function M.all(session)
  local all, tools, by_name = {}, {}, {}
  for _, row in ipairs(core.endpoints()) do
    if not row.text then all[#all + 1] = endpoint_tool(row) end
  end
  add_check(all)
  add_export(all, session)
  add_fleet(all)
  add_renew(all)
  add_reading(all)
  for _, tool in ipairs(all) do
    if not session.read_only or tool.kind == "read" then
      tools[#tools + 1] = tool
      by_name[tool.name] = tool
    end
  end
  return tools, by_name
end

--- What a client learns of a tool.
function M.describe(tool)
  local annotations = hints(tool.kind)
  annotations.title = tool.title
  return { name = tool.name, title = tool.title, description = tool.description,
    inputSchema = tool.input, outputSchema = tool.output, annotations = annotations }
end

return M
