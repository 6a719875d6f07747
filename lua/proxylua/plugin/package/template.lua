-- The files that `proxylua plugin new` writes: a small working plugin, with its spec.

local core = require "proxylua.core"
local manifests = require "proxylua.plugin.package.manifest"
local names = require "proxylua.util.names"

local M = {}

local files = {}

files["plugin.lua"] = [[
-- The manifest of this plugin: its contents and permissions. It is read as data and cannot call
-- functions.
return {
  name = "NAME",
  version = "0.1.0",
  description = "counts the proxies of active orders",
  requires = ">=VERSION",
  permissions = {
    read = true, -- account, orders, proxies and transactions
    -- spend = { per_run = 25, per_day = 100 },
    -- files = { read = { "~/proxies" }, write = { "~/proxies" } },
    -- net = { "hooks.slack.com" },
    -- env = { "SLACK_WEBHOOK" },
  },
  commands = { -- proxylua NAME count --of-type isp
    count = {
      run = "count", -- a function of main.lua; "module.function" names one of another file
      summary = "count the proxies of active orders",
      options = {
        ["of-type"] = { type = "text", summary = "only this type of proxies" },
      },
    },
  },
  on = { order_placed = "placed" },
}
]]

files["main.lua"] = [[
-- Runs in a separate process that can only compute: proxylua does the work of px, within the
-- permissions in plugin.lua.

local px = require "proxylua"

local M = {}

-- A command is called with its options; its result is printed, as a table or with --json.
function M.count(options)
  local counts, rows = {}, {}
  for order in px.orders.each{ status = "active" } do
    counts[order.type] = (counts[order.type] or 0) + (order.quantity or 0)
  end
  for kind, quantity in pairs(counts) do
    if not options.of_type or options.of_type == kind then
      rows[#rows + 1] = { type = kind, quantity = quantity }
    end
  end
  table.sort(rows, function(a, b) return a.type < b.type end)
  return rows
end

-- An event's function is called with its data; px.log.info prints a message for the user.
function M.placed(order)
  px.log.info(("%s: %s proxies of type %s"):format(order.id, order.quantity, order.type))
end

return M
]]

files["spec/main_spec.lua"] = [[
-- `proxylua plugin test` runs this. `plugin` calls functions of main.lua in the plugin's own
-- process, `command` and `event` those in plugin.lua; px is the spec's, with a separate emulated
-- API.

it("counts the proxies of active orders", function()
  px.orders.create{ type = "isp", quantity = 2, country = "US", period = 30, key = "spec" }
  local rows = command("count", {})
  assert(#rows == 1 and rows[1].type == "isp" and rows[1].quantity == 2)
  assert(#plugin.count{ of_type = "mobile" } == 0)
end)

it("reports an order", function()
  event("order_placed", { id = "ord_1", quantity = 2, type = "isp" })
end)
]]

files["README.md"] = [[
# NAME

    proxylua plugin test .          # run spec/
    proxylua plugin pack .          # make NAME-0.1.0.plx
    proxylua plugin install .       # or the .plx
    proxylua NAME count
]]

--- Writes a new plugin.
-- @param folder path, which must not exist
-- @param name of the plugin
-- @raise usage, config, store
function M.write(folder, name)
  if not manifests.is_name(name) then
    names.usage("the name of a plugin must be at most 40 small letters, digits and -, beginning "
      .. "with a letter, got %s", name)
  end
  local texts = {}
  for path, text in pairs(files) do
    texts[path] = text:gsub("%f[%w]%u%u%u%u+%f[%W]", { NAME = name, VERSION = core.version })
  end
  manifests.read(texts["plugin.lua"])
  if core.system.kind(folder) then names.usage("%s exists already", folder) end
  core.system.make_folder(folder .. "/spec")
  for path, text in pairs(texts) do core.system.write_file(folder .. "/" .. path, text) end
end

return M
