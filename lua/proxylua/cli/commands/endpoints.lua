-- The commands of the API, one for each endpoint, made from the endpoint table: `proxylua orders
-- list --status active`.

local core = require "proxylua.core"
local known = require "proxylua.cli.args.known"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local shapes = require "proxylua.cli.shape"

local M = {}

local samples = { id = "ord_abc123", country = "US", period = "30", quantity = "10",
  network = "TRC20" }

-- The options of calls that a command offers; --timeout is a global option.
local option_rows = {
  key = { value = "KEY",
    summary = "the same key never buys twice; without one, running the command again buys again" },
  max_price = { value = "AMOUNT", summary = "refuse when the quote is higher" },
  path = { flag = "-o --output", value = "FILE", suggest = "files",
    summary = "write to this file, complete or not at all (-: standard output)" },
}

local function word(name)
  return (name:gsub("_", "-"))
end

--- "orders.list" -> "orders", "list"; "reference.proxy_types" -> "reference", "proxy-types"
local function split(row)
  local group, name = row.name:match("^(.-)%.(.+)$")
  return group, word(name)
end

local found, order -- made at the first call

local function groups()
  if found then return found, order end
  found, order = {}, {}
  for _, row in ipairs(core.endpoints()) do
    local group = split(row)
    if not found[group] then
      found[group] = {}
      order[#order + 1] = group
    end
    table.insert(found[group], row)
  end
  return found, order
end

--- The names of the groups, in the order of the table.
function M.names()
  local _, list = groups()
  return table.move(list, 1, #list, 1, {})
end

local function sample(param)
  return param.values and param.values[1] or samples[param.name] or "1"
end

-- With all required parameters, and one more with known values.
local function example(row)
  local group, name = split(row)
  local words, extra = { group, name }, true
  for _, param in ipairs(row.params) do
    if param.where == "path" then
      words[#words + 1] = sample(param)
    elseif param.required or param.name == "country" or (extra and param.values) then
      extra = extra and not (param.values and not param.required)
      words[#words + 1] = ("--%s %s"):format(word(param.name), sample(param))
    end
  end
  if row.class == "charge" then words[#words + 1] = "--max-price 40 --spend 40" end
  return table.concat(words, " ")
end

local function description(param)
  local parts = { param.summary }
  if param.required and param.where ~= "path" then parts[#parts + 1] = "required" end
  if param.values then parts[#parts + 1] = "known: " .. table.concat(param.values, ", ") end
  if param.max and param.type == "integer" then
    parts[#parts + 1] = ("%d to %d"):format(param.min or 0, param.max)
  end
  return table.concat(parts, "; ")
end

local function add_param(parser, param)
  if param.where == "path" then
    parsers.suggest(parser:argument(param.name, description(param)):argname(param.name:upper())
      :target("param " .. param.name), param.name == "id" and known.orders or nil)
  else
    local option = parser:option("--" .. word(param.name),
      description(param)):argname(word(param.name):upper())
      :target("param " .. param.name)
    parsers.suggest(option, param.values or param.name == "country" and known.countries or nil)
  end
end

local function add_row(parser, row)
  local _, name = split(row)
  local command = parsers.command(parser, name, row.summary, example(row))
  for _, param in ipairs(row.params) do add_param(command, param) end
  for _, option in ipairs(row.options) do
    local offered = option_rows[option]
    if offered then
      local added = command:option(offered.flag or "--" .. word(option),
        offered.summary):argname(offered.value)
      parsers.suggest(added:target("param " .. option), offered.suggest)
    end
  end
  if row.list then shapes.add_to(command, row.record) end
  if row.paged then command:flag("--all", "all pages instead of one"):target("all") end
  if row.record == "proxy" or row.text then
    command:flag("--reveal", "show passwords on a terminal too"):target("reveal")
  end
end

local function typed(param, text)
  if not param or param.type ~= "integer" then return text end
  return math.tointeger(tonumber(text)) or names.usage("--%s takes a whole number, got %s",
    word(param.name), text)
end

local function check_missing(row, args)
  local missing = {}
  for _, param in ipairs(row.params) do
    if param.required and args["param " .. param.name] == nil then
      missing[#missing + 1] = "--" .. word(param.name)
    end
  end
  if #missing == 0 then return end
  local group, name = split(row)
  local last = table.remove(missing)
  names.usage("%s %s missing; proxylua %s %s --help shows how it is used",
    #missing > 0 and table.concat(missing, ", ") .. " and " .. last or last,
    #missing > 0 and "are" or "is", group, name)
end

local function params_of(row, args)
  check_missing(row, args)
  local types, params = {}, {}
  for _, param in ipairs(row.params) do types[param.name] = param end
  for target, value in pairs(args) do
    local name = target:match("^param (.+)$")
    if name then params[name] = typed(types[name], value) end
  end
  if params.path == "-" then params.path = nil end
  return params
end

-- px.orders.extend(id, params)
local function call(row, params)
  local px, group, name = require "proxylua", row.name:match("^(.-)%.(.+)$")
  local given, arguments = {}, {}
  for key, value in pairs(params) do given[key] = value end
  for _, param in ipairs(row.params) do
    if param.where == "path" then
      arguments[#arguments + 1] = given[param.name]
      given[param.name] = nil
    end
  end
  arguments[#arguments + 1] = given
  return (px[group][name](table.unpack(arguments)))
end

-- px.orders.each, px.account.each_transaction
local function each(row, params, screen)
  params.on_problem = screen:reporter()
  local px, group, name = require "proxylua", row.name:match("^(.-)%.(.+)$")
  return px[group][name == "list" and "each" or "each_" .. name:gsub("s$", "")](params)
end

local function note_rest(screen, list)
  if not list.has_more then return end
  screen:note("page %s%s; --page %s or --all shows more", list.page or 1,
    list.total and (", %d of %s"):format(#list, list.total) or "", (list.page or 1) + 1)
end

-- Records that cannot be used are shown as far as possible, and reported.
local function warn_of_unusable(screen, row, list)
  for at, record in ipairs(list) do
    if type(record) == "table" and record.unreadable then
      screen:problem(core.error.new{ kind = "protocol", endpoint = row.name,
        message = ("%s: record %d cannot be used: %s"):format(row.name, at, record.unreadable) })
    end
  end
end

local function check_download(screen, params)
  if params.path or not screen.masked then return end
  core.error.raise{
    kind = "usage",
    message = "the download contains passwords: write it to a file with -o FILE, or show it here "
      .. "with --reveal",
  }
end

local function run_row(row, args, screen)
  local params = params_of(row, args)
  if row.text then check_download(screen, params) end
  if args.all then return screen:stream(row.record, each(row, params, screen)) end
  local result = call(row, params)
  if row.text and params.path then
    if screen:is_data() then screen:record(nil, { file = params.path }) else screen:note("saved %s",
      params.path) end
  elseif row.text then
    screen:text(result)
  elseif row.list then
    screen:list(row.record, result)
    warn_of_unusable(screen, row, result)
    note_rest(screen, result)
  else
    if result.dry_run then screen:note("dry run: nothing was bought") end
    screen:record(row.record, result)
  end
end

--- The summary of a group of endpoints, nil if the group does not exist.
function M.summary(group)
  local rows = groups()[group]
  if not rows then return nil end
  local listed = {}
  for at, row in ipairs(rows) do listed[at] = select(2, split(row)) end
  return ("call the API: %s"):format(table.concat(listed, ", "))
end

--- The command of a group of endpoints, nil if the group does not exist.
function M.find(group)
  local rows = groups()[group]
  if not rows then return nil end
  local by_word = {}
  for _, row in ipairs(rows) do by_word[select(2, split(row))] = row end
  return {
    summary = M.summary(group),
    parser = function(parser)
      parser:require_command(true):command_target("endpoint")
      for _, row in ipairs(rows) do add_row(parser, row) end
      parsers.example(parser, example(rows[1]))
    end,
    run = function(args, context) run_row(by_word[args.endpoint], args, context.screen) end,
  }
end

return M
