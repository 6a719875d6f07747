-- A status as one self-contained page, in the style of the reports.

local core = require "proxylua.core"
local clean = require "proxylua.report.labels".clean
local escape = require "proxylua.report.svg".escape
local style = require "proxylua.report.style"
local text = require "proxylua.status.text"
local time = require "proxylua.util.time"

local M = {}

local MOST <const> = 100 -- rows of a table

local function cell(value)
  return escape(clean(value == nil and "" or value))
end

-- Rows are lists of texts; the first of a row is its heading.
local function table_of(caption, heads, rows)
  local out = { ("<table><caption>%s</caption><thead><tr>"):format(cell(caption)) }
  for _, head in ipairs(heads) do out[#out + 1] = ('<th scope="col">%s</th>'):format(cell(head)) end
  out[#out + 1] = "</tr></thead><tbody>\n"
  for at = 1, math.min(#rows, MOST) do
    for column = 1, #heads do
      local tag = column == 1 and '<th scope="row">%s</th>' or "<td>%s</td>"
      out[#out + 1] = (column == 1 and "<tr>" or "") .. tag:format(cell(rows[at][column]))
    end
    out[#out + 1] = "</tr>\n"
  end
  out[#out + 1] = "</tbody></table>"
  if #rows > MOST then out[#out + 1] = ("<p>and %d more</p>"):format(#rows - MOST) end
  return table.concat(out)
end

local function section(heading, content)
  return ('<section><h2>%s</h2><div class="numbers">%s</div></section>\n'):format(heading, content)
end

local function figures(status)
  local limits = {}
  for at, limit in ipairs(status.limits) do limits[at] = text.limit(limit) end
  local list = {
    { "Balance", status.balance or "unknown", text.lasts(status) },
    { "Spent today", status.spent_today, "by the journal of this store" },
    { "Orders", status.orders.active, text.orders(status.orders) },
    { "Open charges", #status.charges, "whose outcome is not known yet" },
    { "Proxies that fail", ("%d of %d"):format(status.checks.failing, status.checks.checked),
      "in their last check within 7 days" },
    { "Rate limits", #limits, table.concat(limits, "; ") },
  }
  for at, row in ipairs(list) do
    list[at] = ("<div><dt>%s</dt><dd>%s<span>%s</span></dd></div>\n"):format(
      cell(row[1]), cell(row[2]), cell(row[3]))
  end
  return '<dl class="figures">' .. table.concat(list) .. "</dl>\n"
end

local function rows_of(list, row_of)
  local rows = {}
  for at, item in ipairs(list) do
    rows[at] = {}
    for column, value in pairs(row_of(item)) do rows[at][column] = value end
  end
  return rows
end

local function tables(status)
  local now = time.read(status.at)
  local parts = {}
  local function add(heading, caption, heads, list, row_of)
    if #list == 0 then return end
    parts[#parts + 1] = section(heading, table_of(caption, heads, rows_of(list, row_of)))
  end
  add("Open charges", "proxylua journal settle looks them up",
    { "key", "state", "quote", "since" }, status.charges, function(charge)
      return { charge.key, charge.state, charge.quote or "", charge.created_at }
    end)
  add("Pools", "Proxies that the pools have, and those that they want",
    { "pool", "have", "want", "missing", "orders" }, status.pools, function(pool)
      return { pool.name, pool.have, pool.wanted or "", pool.missing or "", pool.orders }
    end)
  add("Orders", "The first to expire first",
    { "order", "ends", "quantity", "type", "country", "pool" }, status.next, function(order)
      return { order.id, (text.ending(order, now)), order.quantity or "", order.type or "",
        order.country or "", order.pool or "" }
    end)
  add("Failing proxies", "As their last check found them", { "proxy", "reason", "checked" },
    status.checks.proxies, function(proxy)
      return { ("%s:%s"):format(proxy.host, proxy.port), proxy.reason, proxy.at }
    end)
  return table.concat(parts)
end

local head <const> = [[
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
%s<title>Proxies: status</title>
<style>%s</style></head>
<body><main>
<h1>Status</h1>
<p>%s at %s. As of %s.</p>
]]

--- The page.
-- @param status of px.status
-- @param options table: `where` (text: which API), `refresh`, seconds after which a browser loads
--   the page again, nil for never
-- @return string
function M.page(status, options)
  local refresh = options.refresh
    and ('<meta http-equiv="refresh" content="%d"/>\n'):format(math.ceil(options.refresh)) or ""
  return head:format(refresh, style, cell(status.email or "unknown"), cell(options.where),
    cell(status.at)) .. figures(status) .. tables(status)
    .. ("<footer>Written by proxylua %s.</footer>\n</main></body></html>\n"):format(
      escape(core.version))
end

return M
