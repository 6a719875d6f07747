-- What can be ordered and what it costs: proxy types, countries, periods, currencies, and the rule
-- for the price.

local money = require "proxylua.sandbox.money"

local M = {}

-- Cents for one GB, or for one address and 30 days.
M.types = {
  { type = "residential", name = "Residential", unit = "gb", cents = 350 },
  { type = "datacenter", name = "Datacenter", unit = "ip", cents = 90 },
  { type = "isp", name = "Static ISP", unit = "ip", cents = 240 },
  { type = "mobile", name = "Mobile 4G/5G", unit = "ip", cents = 1800 },
  { type = "ipv6", name = "IPv6", unit = "ip", cents = 15 },
}

-- Percent of the type's price.
M.countries = {
  { code = "US", name = "United States", percent = 100 },
  { code = "GB", name = "United Kingdom", percent = 105 },
  { code = "DE", name = "Germany", percent = 105 },
  { code = "FR", name = "France", percent = 105 },
  { code = "NL", name = "Netherlands", percent = 100 },
  { code = "ES", name = "Spain", percent = 105 },
  { code = "IT", name = "Italy", percent = 105 },
  { code = "PL", name = "Poland", percent = 95 },
  { code = "UA", name = "Ukraine", percent = 90 },
  { code = "CA", name = "Canada", percent = 105 },
  { code = "BR", name = "Brazil", percent = 110 },
  { code = "IN", name = "India", percent = 95 },
  { code = "JP", name = "Japan", percent = 125 },
  { code = "SG", name = "Singapore", percent = 120 },
  { code = "AU", name = "Australia", percent = 120 },
}

-- The discount is that of the longest period that is not longer than the ordered one.
M.periods = {
  { days = 1, discount = 0 },
  { days = 7, discount = 0 },
  { days = 30, discount = 0 },
  { days = 90, discount = 5 },
  { days = 180, discount = 10 },
  { days = 365, discount = 15 },
}

M.networks = {
  BTC = { "BTC" },
  ETH = { "ERC20" },
  LTC = { "LTC" },
  USDT = { "ERC20", "TRC20" },
}

M.max_quantity = 100000
M.max_period = 365
M.default_period = 30

local function by(list, field)
  local map = {}
  for _, row in ipairs(list) do map[row[field]] = row end
  return map
end

M.type_of = by(M.types, "type")
M.country_of = by(M.countries, "code")

local function discount(days)
  local found = 0
  for _, period in ipairs(M.periods) do
    if period.days <= days then found = period.discount end
  end
  return found
end

--- Price of an order: per GB for any period, or per address and day; rounded up to whole cents.
-- @param order type, quantity, period (days) and country (nil: no surcharge)
-- @return units of 10^-8
function M.price(order)
  local kind, country = M.type_of[order.type], M.country_of[order.country]
  local amount = kind.cents * order.quantity * (country and country.percent or 100)
  local divisor = 100
  if kind.unit == "ip" then
    amount = amount * order.period * (100 - discount(order.period))
    divisor = divisor * 30 * 100
  end
  return -(-amount // divisor) * money.cent
end

return M
