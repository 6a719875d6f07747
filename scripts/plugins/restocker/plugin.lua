return {
  name = "restocker",
  version = "1.0.0",
  description = "keeps a stock of proxies, and tells a Slack or Discord channel what it bought",
  requires = ">=0.1.0",
  permissions = {
    read = true,
    spend = { per_run = 50, per_day = 100 },
    net = { "hooks.slack.com", "discord.com" },
    env = { "RESTOCKER_WEBHOOK" },
  },
  commands = {
    restock = {
      run = "restock",
      summary = "buy what is missing, at most once a week however often it runs",
      options = {
        ["of-type"] = { type = "text", summary = "the type of proxies", default = "isp" },
        country = { type = "text", summary = "their country", default = "US" },
        quantity = { type = "integer", summary = "how many there shall be", required = true },
        period = { type = "integer", summary = "for how many days those that are bought are",
          default = 30 },
        ["max-price"] = { type = "text", summary = "buy nothing when it costs more" },
        ["only-show"] = { summary = "show what would be bought, and buy nothing" },
      },
    },
    stock = { run = "stock.list", summary = "what is there, by type and country" },
  },
  on = { order_placed = "placed", order_extended = "extended", charge_refused = "refused" },
}
