-- Run by `proxylua plugin test scripts/plugins/restocker`.

it("buys what is missing, once", function()
  px.orders.create{ type = "isp", country = "US", quantity = 2, period = 30, key = "before" }
  local options = { of_type = "isp", country = "US", quantity = 5, period = 30 }
  local row = command("restock", options)
  assert(row.there == 2 and row.bought == 3 and row.order_id)
  row = command("restock", options)
  assert(row.there == 5 and row.bought == 0)
  assert(plugin["stock.list"]()[1].quantity == 5)
end)

it("shows what it would buy", function()
  local row = command("restock", { of_type = "mobile", country = "DE", quantity = 1, period = 30,
    only_show = true })
  assert(row.missing == 1 and row.price > 0 and row.bought == 0)
  assert(#px.orders.list{ type = "mobile" } == 0)
end)

it("spends no more than it may", function()
  local ok, err = pcall(command, "restock", { of_type = "isp", country = "US", quantity = 1000,
    period = 30 })
  assert(not ok and err.kind == "spend_refused" and err.charge == "none")
end)

it("handles the event of an order without a channel", function()
  event("order_placed", { id = "ord_1", type = "isp", quantity = 1 })
  event("charge_refused", { kind = "funds", message = "the balance is too low",
    endpoint = "orders.create" })
end)
