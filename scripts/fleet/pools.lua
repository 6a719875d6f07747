-- The desired stock of proxies: scripts/fleet.lua and `proxylua fleet plan` read it.
return {
  { name = "us-isp", type = "isp", country = "US", quantity = 10, period = 30, renew_before = "3d",
    batch = 5,
    max_unit_price = "2.60", max_total = 30 },
  { name = "de-datacenter", type = "datacenter", country = "DE", quantity = 20, period = 7,
    renew_before = "12h" },
  { name = "spare", type = "ipv6", quantity = 5 },
}
