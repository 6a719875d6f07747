-- What was spent, by month, charges less refunds: exact sums over all transactions.
--   proxylua scripts/spending.lua
local px = require "proxylua"

local months, names = {}, {}
for entry in px.account.each_transaction() do
  if entry.type == "charge" or entry.type == "refund" then
    local month = entry.created_at:sub(1, 7)
    if not months[month] then
      months[month] = px.money(0)
      names[#names + 1] = month
    end
    local amount = entry.amount < 0 and -entry.amount or entry.amount
    months[month] = months[month] + (entry.type == "charge" and amount or -amount)
  end
end

table.sort(names)
for _, month in ipairs(names) do print(month, months[month]) end
