-- `proxylua fleet`: compares the wanted stock of proxies with the orders, plans and applies
-- changes.

local core = require "proxylua.core"
local known = require "proxylua.cli.args.known"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local shapes = require "proxylua.cli.shape"

local M = {}

local CHANGES <const> = 10 -- exit codes
local codes <const> = { outcome_unknown = 5,
  protocol = 4 } -- for problems that the user has not caused

local function add_ignore_existing(command)
  command:flag("--ignore-existing",
    "buy even if this store has no data of the pools and active orders would fit them")
end

local function add_plan(parser)
  local command = parsers.command(parser, "plan",
    "show what would be extended and bought, and what it costs",
    "fleet plan fleet.lua -o plan.json")
  parsers.suggest(command:argument("file", "a Lua file that returns a list of pools"):argname(
    "FILE"), "files")
  parsers.suggest(command:option("-o --output",
    "save the plan in this file, for fleet apply"):argname("PLAN"), "files")
  add_ignore_existing(command)
  command:flag("--exit-code", "exit with 10 when there is something to do")
end

local function add_apply(parser)
  local command = parsers.command(parser, "apply",
    "extend and buy what the pools need, or what a saved plan contains",
    "fleet apply fleet.lua --spend 40")
  parsers.suggest(command:argument("file", "the list of pools, or the file of a plan"):argname(
    "FILE|PLAN"), "files")
  add_ignore_existing(command)
  command:flag("--yes", "do not ask; spend only what --spend or the settings allow")
end

local function add_ownership(parser)
  shapes.add_to(parsers.command(parser, "status",
    "show the active orders and the pools that they belong to", "fleet status"), "member")
  local adopt = parsers.command(parser, "adopt",
    "assign orders that were bought otherwise to a pool",
    "fleet adopt us-isp ord_abc123")
  parsers.suggest(adopt:argument("pool", "name of the pool"):argname("POOL"), known.pools)
  parsers.suggest(adopt:argument("orders", "ids of the orders"):argname("ORDER"):args("+"),
    known.orders)
  local release = parsers.command(parser, "release", "unassign orders from their pool",
    "fleet release ord_abc123")
  parsers.suggest(release:argument("orders", "ids of the orders"):argname("ORDER"):args("+"),
    known.orders)
end

function M.parser(parser)
  parser:require_command(true):command_target("action")
  add_plan(parser)
  add_apply(parser)
  add_ownership(parser)
  parsers.example(parser, "fleet plan fleet.lua", "fleet apply fleet.lua --spend 40")
end

local actions = {}

local function exit_code_of(plan, args)
  local code = codes[require("proxylua.fleet.run").shortfall(plan)]
  if code then return code end
  return args.exit_code and require("proxylua.fleet.planner").has_work(plan) and CHANGES or 0
end

function actions.plan(args, screen)
  if args.output == "-" then
    names.usage(
      "-o - cannot be used: standard output shows the plan; use proxylua --json fleet plan")
  end
  local spending = require "proxylua.cli.spending"
  local options = spending.options(screen)
  options.ignore_existing = args.ignore_existing
  local plan = require("proxylua.fleet.run").plan(args.file, options)
  spending.show(screen, "plan", plan)
  if args.output then
    require("proxylua.fleet.plan_file").save(plan, args.output)
    screen:note("saved in %s; to apply it, run proxylua fleet apply %s --spend %s", args.output,
      args.output,
      plan.total)
  end
  core.system.set_exit_code(exit_code_of(plan, args))
end

function actions.apply(args, _, context)
  require("proxylua.cli.spending").run(context, "plan", function(options)
    options.ignore_existing = args.ignore_existing
    return require("proxylua.fleet.run").run(args.file, options)
  end, args.yes)
end

function actions.status(_, screen)
  local px = require "proxylua"
  local pools, each = px.fleet.owners(), px.orders.each{ status = "active" }
  screen:stream("member", function()
    local order = each()
    if not order then return nil end
    return { pool = pools[order.id] or "", id = order.id, type = order.type,
      quantity = order.quantity,
      country = order.country, expires_at = order.expires_at }
  end)
end

-- Calls a function for each order and prints the result, even if a later order fails.
-- @param change function of an order's id: returns the pool
-- @param text with the order and the pool
local function change_each(ids, screen, change, text)
  local done = core.json.array()
  local ok, err = pcall(function()
    for at, id in ipairs(ids) do
      done[at] = { id = id, pool = change(id) }
      if not screen:is_data() then screen:note(text, id, done[at].pool) end
    end
  end)
  if screen:is_data() then screen:list("member", done) end
  if not ok then error(err, 0) end
end

-- A name that no order belongs to yet may be a slip.
local function note_new_pool(name, screen)
  local pools, list = {}, {}
  for _, pool in pairs(require("proxylua").fleet.owners()) do pools[pool] = true end
  if pools[name] or not next(pools) then return end
  for pool in pairs(pools) do list[#list + 1] = pool end
  table.sort(list)
  screen:note("%s is a new pool; until now there were %s", name, table.concat(list, ", "))
end

function actions.adopt(args, screen)
  note_new_pool(args.pool, screen)
  change_each(args.orders, screen, function(id)
    require("proxylua").fleet.adopt(args.pool, id)
    return args.pool
  end, "order %s now belongs to pool %s")
end

function actions.release(args, screen)
  change_each(args.orders, screen, function(id)
    return require("proxylua").fleet.release(id) or names.usage("order %s does not belong to a "
      .. "pool", id)
  end, "order %s no longer belongs to pool %s")
end

function M.run(args, context)
  actions[args.action](args, context.screen, context)
end

return M
