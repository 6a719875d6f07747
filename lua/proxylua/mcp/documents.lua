-- What a client can read beside the tools: resources, prompts, and completions for both.

local core = require "proxylua.core"
local endpoints = require "proxylua.api.endpoints"
local pages = require "proxylua.api.pages"

local M = {}

local array = core.json.array

local topics = { "money", "limits", "errors", "journal", "fleet", "renew", "check", "export",
  "report" }

-- --- resources ---

local HELP <const>, ORDER <const> = "proxylua://help/", "proxylua://orders/"

local readers = {
  ["proxylua://account"] = { "account", "balance and email of the account",
    function() return endpoints.account.get() end },
  ["proxylua://orders"] = { "active orders", "all active orders of the account", function()
    local list = array{}
    for order in pages.orders.each{ status = "active" } do list[#list + 1] = order end
    return list
  end },
  ["proxylua://limits"] = { "limits", "how many requests the rate limit allows now",
    function() return core.api.limits() end },
}

--- The resources that are always there.
function M.resources()
  local list = array{}
  for uri, row in pairs(readers) do
    list[#list + 1] = { uri = uri, name = row[1], description = row[2],
      mimeType = "application/json" }
  end
  for _, topic in ipairs(topics) do
    list[#list + 1] = { uri = HELP .. topic, name = "help " .. topic,
      description = "help about " .. topic, mimeType = "text/plain" }
  end
  table.sort(list, function(a, b) return a.uri < b.uri end)
  return list
end

--- The resources that have a parameter.
function M.templates()
  return array{
    { uriTemplate = ORDER .. "{id}", name = "order", description = "one order",
      mimeType = "application/json" },
    { uriTemplate = HELP .. "{topic}", name = "help", description = "help about a topic",
      mimeType = "text/plain" },
  }
end

local function is_topic(name)
  for _, topic in ipairs(topics) do
    if topic == name then return true end
  end
  return false
end

--- Reads a resource.
-- @return text, or a table; nil where there is none
-- @raise the errors of the API
function M.read(uri)
  if type(uri) ~= "string" then return nil end
  if readers[uri] then return readers[uri][3]() end
  local topic, id = uri:match("^" .. HELP .. "(%l+)$"), uri:match("^" .. ORDER .. "([^/]+)$")
  if topic and is_topic(topic) then
    return core.system.embedded(("docs/help/%s.txt"):format(topic))
  end
  return id and endpoints.orders.get(id) or nil
end

-- --- prompts ---

local prompts = {
  { name = "restock", description = "buy proxies at a known price, once",
    arguments = { { "type", "kind of proxies", true }, { "country", "two letters, such as US" },
      { "quantity", "how many", true }, { "max_price", "highest price of all" } },
    text = "Buy %{quantity} %{type} proxies%{country: in %}. First call orders_calc and name the "
      .. "price and the balance. Buy with orders_create, with a key that names this purchase%{"
      .. "max_price: and max_price %}. If the outcome is unknown, do not buy again: read "
      .. "journal_get." },
  { name = "renew_expiring", description = "extend what expires soon",
    arguments = { { "within", "a duration, such as 3d", true } },
    text = "Call renew_plan for orders that expire within %{within}, check the proxies of these "
      .. "orders with check, show both, and extend with renew what is worth it." },
  { name = "spending", description = "explain what was spent",
    arguments = { { "since", "a date, or a duration such as 30d" } },
    text = "Call report%{since: since %} and explain what was spent on what, and how long the "
      .. "balance lasts." },
}

--- The prompts.
function M.prompts()
  local list = array{}
  for at, prompt in ipairs(prompts) do
    local arguments = array{}
    for index, argument in ipairs(prompt.arguments) do
      arguments[index] = { name = argument[1], description = argument[2],
        required = argument[3] or false }
    end
    list[at] = { name = prompt.name, description = prompt.description, arguments = arguments }
  end
  return list
end

-- %{name} is an argument; %{name:before %} has a text before it, and is empty without one.
local function fill(text, given)
  return (text:gsub("%%{(%w+_?%w*):?(.-)%%?}", function(name, before)
    return given[name] and before .. given[name] or ""
  end))
end

--- A prompt with its arguments; nil and what is wrong.
function M.prompt(name, given)
  for _, prompt in ipairs(prompts) do
    if prompt.name == name then
      local texts = {}
      for _, argument in ipairs(prompt.arguments) do
        local value = given[argument[1]]
        if value == nil and argument[3] then return nil, argument[1] .. " is missing" end
        texts[argument[1]] = value ~= nil and tostring(value) or nil
      end
      return { description = prompt.description, messages = array{ { role = "user",
        content = { type = "text", text = fill(prompt.text, texts) } } } }
    end
  end
  return nil, "there is no prompt " .. tostring(name)
end

-- --- completions ---

local function known_values(name)
  for _, row in ipairs(core.endpoints()) do
    for _, param in ipairs(row.params) do
      if param.name == name and param.values then return param.values end
    end
  end
  return {}
end

-- Orders that this store bought: no request is spent.
local function known_orders()
  local ids = {}
  for entry in require("proxylua.api.journal").each{ state = "placed", newest = true } do
    ids[#ids + 1] = entry.order_id
    if #ids >= 1000 then break end
  end
  return ids
end

local values = {
  topic = function() return topics end, id = known_orders,
  country = function() return { "CA", "DE", "ES", "FR", "GB", "IT", "JP", "NL", "PL", "US" } end,
  within = function() return { "12h", "1d", "3d", "7d" } end,
  since = function() return { "7d", "30d", "90d" } end,
}

--- The values that begin with a text.
-- @param ref what is completed: a prompt or a resource template
-- @param name of the argument
-- @param start text
-- @return list of texts
function M.complete(ref, name, start)
  local list = {}
  if type(ref) ~= "table" then return list end
  for _, value in ipairs((values[name] or known_values)(name)) do
    if value:sub(1, #start):lower() == start:lower() then list[#list + 1] = value end
  end
  return list
end

return M
