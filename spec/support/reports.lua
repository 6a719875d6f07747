-- A report with all that one can hold, from the worst names that an API could send.

local core = require "proxylua.core"
local days = require "proxylua.report.days"
local make = require "proxylua.report.make"

local M = {}

M.NOW = core.record.date("2026-11-25T12:00:00Z")

M.names = {
  "US", "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onload='alert(1)",
    "&lt;b&gt; & </svg></table>", "]]>-->",
  ("W"):rep(200), ("日本語"):rep(40), "مرحبا بالعالم", "\u{202E}gnp.exe", "a\0b\27[2Jc\n",
    "\xFF\xFE broken",
    "Z\u{301}\u{302}\u{303}",
  "", "\u{FDFD}\u{FDFD}\u{FDFD}\u{FDFD}\u{FDFD}", ("long word "):rep(30), "{{7*7}}", "%s%d",
}

local function date(seconds)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(seconds))
end

--- A report of orders and transactions, with a journal that is empty.
-- @param balance money
-- @param since as px.report.build has it
function M.of(orders, transactions, balance, since)
  local at = 0
  return make.report({ orders = orders, repeated_orders = 0, balance = balance,
    ownership = { orders = {}, open = {} },
    transactions = function()
    at = at + 1
    return transactions[at]
  end }, days.window(since, nil, M.NOW))
end

--- A report over so many days of which each has charges and some refunds.
-- @param length days
function M.make(length)
  local orders, transactions = {}, {}
  for at = 1, length * 2 do
    local created = M.NOW - (at % length) * 86400 - 3600
    orders[at] = { id = "o" .. at, type = M.names[at % #M.names + 1],
      country = M.names[(at * 7) % #M.names + 1],
      status = "active",
      quantity = 1, period = 30, price = at % 9 > 0 and core.money(at % 7) + 0.25 or nil,
        expires_at = date(M.NOW + at % 45 * 86400) }
    transactions[#transactions + 1] = { id = "c" .. at, type = "charge", amount = core.money(at % 7)
      + 0.25,
      order_id = "o" .. at,
      created_at = date(created) }
    if at % 5 == 0 then
      transactions[#transactions + 1] = { id = "r" .. at, type = "refund", amount = core.money(1),
        order_id = "o" .. at,
        created_at = date(created) }
    end
  end
  table.insert(transactions, { id = "x", type = "<i>voucher</i>", amount = core.money(1),
    created_at = date(M.NOW) })
  for _, order in ipairs(orders) do
    if not order.price then order.type = nil end -- nor can it be quoted
  end
  return M.of(orders, transactions, core.money(400), length .. "d")
end

return M
