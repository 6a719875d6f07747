-- px.sandbox: the addresses of the sandbox that --sandbox started, and what tests change in it.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"

local M = {}

-- One request to the admin interface.
local function change(caller, name, body)
  local sandbox = core.sandbox.place()
  if not sandbox then names.usage("%s: there is no sandbox; run with --sandbox", caller) end
  local response = core.http.post(sandbox.admin_url .. "/" .. name, {
    headers = { ["X-Sandbox-Key"] = sandbox.key }, json = body, proxy = "",
  })
  if not response.ok then
    names.usage("%s: %s", caller, core.json.decode(response.body).error)
  end
end

--- The addresses of the sandbox.
-- @record sandbox
-- @tfield string url of the API
-- @tfield string key of the API
-- @tfield string trace_url a page that returns the address of its client
-- @tfield string admin_url

--- The addresses of the sandbox that --sandbox started.
-- @function px.sandbox
-- @treturn sandbox|nil nil without --sandbox
-- @usage if px.sandbox() then print("not for real: " .. px.sandbox().url) end

--- Sets the faults of the sandbox, such as "orders.create:cut=after,count=1"; proxylua help sandbox
-- lists them. They replace the earlier ones.
-- @function px.sandbox.fault
-- @tparam any ... strings, a fault each; none: no faults
-- @raise usage, also without --sandbox
-- @usage px.sandbox.fault("account.get:status=500,count=1")
-- print(px.account.get().email)  --> you@sandbox.example
function M.fault(...)
  local faults = core.json.array{ ... }
  for at, fault in ipairs(faults) do
    if type(fault) ~= "string" then
      names.usage("px.sandbox.fault: fault %d must be a string, got a %s", at, type(fault))
    end
  end
  change("px.sandbox.fault", "settings", { faults = faults })
end

--- Adds money to the balance in the sandbox, as a deposit.
-- @function px.sandbox.deposit
-- @tparam money|number|string amount
-- @raise usage, also without --sandbox
-- @usage local before = px.account.get().balance
-- px.sandbox.deposit(50)
-- print(px.account.get().balance - before)  --> 50.00
function M.deposit(amount)
  local ok, money = pcall(core.money, amount)
  if not ok or money <= 0 then
    names.usage("px.sandbox.deposit: the amount must be money above 0, got %s", tostring(amount))
  end
  change("px.sandbox.deposit", "deposit", { amount = tostring(money) })
end

--- Advances the clock of the sandbox, so that orders expire. The rate limits and px.sleep keep the
-- real time.
-- @function px.sandbox.advance
-- @tparam string|number time a duration such as "3d", or seconds
-- @raise usage, also without --sandbox
-- @usage px.sandbox.advance("31d")
-- print(px.orders.get(order.id).status)  --> expired
function M.advance(time)
  change("px.sandbox.advance", "clock",
    { advance = duration.seconds(time, "px.sandbox.advance: the time") })
end

--- A new value for px.sandbox: a function, and a table of the others.
function M.new()
  local functions = names.strict({ fault = M.fault, deposit = M.deposit, advance = M.advance },
    "px.sandbox")
  getmetatable(functions).__call = function(_, ...)
    if select("#", ...) > 0 then
      names.usage("px.sandbox takes no arguments, got %d", select("#", ...))
    end
    return core.sandbox.place()
  end
  return functions
end

return M
