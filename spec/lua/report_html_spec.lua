-- lua/proxylua/report/html.lua and svg.lua: the page is well-formed, whole, escaped, and has the
-- report's own numbers.

local core = require "proxylua.core"
local px = require "proxylua"
local reports = require "spec.support.reports"

-- Elements of a page that is written as XML would have it; anything else is an error. Calls
-- use(name, attributes, depth) for each and text(text) for what stands between.
local function walk(page, use, text)
  local stack, at = {}, assert(page:find("\n", 1, true)) + 1
  while at <= #page do
    local before, closing, name, attributes, alone,
      after = page:match("^([^<]*)<(/?)(%a[%w-]*)([^<>]-)(/?)>()", at)
    if not before then break end
    text(before, stack)
    if closing == "/" then
      assert(attributes == "" and table.remove(stack) == name, "</" .. name .. "> closes nothing")
    else
      local found, rest = {}, attributes
      rest = rest:gsub('%s+([%w-]+)="([^"<]*)"', function(key, value)
        found[key] = value return ""
      end)
      assert(rest:find("^%s*$"), name .. " has attributes " .. attributes)
      use(name, found, stack)
      if alone ~= "/" then stack[#stack + 1] = name end
    end
    at = after
  end
  assert(page:sub(at):find("^%s*$"), "what is this: " .. page:sub(at, at + 80))
  assert(#stack == 0, "never closed: " .. table.concat(stack, " "))
end

local function elements(page)
  local list, by_id = {}, {}
  walk(page, function(name, attributes, stack)
    local element = { name = name, attributes = attributes, text = "" }
    element.up = stack.elements and stack.elements[#stack] or nil
    list[#list + 1] = element
    if attributes.id then
      assert(not by_id[attributes.id], "twice: " .. attributes.id)
      by_id[attributes.id] = element
    end
  end, function(text)
    if list[#list] then list[#list].text = list[#list].text .. text end
  end)
  return list, by_id
end

local function count(list, name)
  local found = 0
  for _, element in ipairs(list) do
    if element.name == name then found = found + 1 end
  end
  return found
end

describe("the page of a report", function()
  local report, page

  before_each(function()
    report = reports.make(30)
    page = px.report.html(report)
  end)

  it("is well-formed, with names that try all they can", function()
    local list = elements(page)
    assert.is_true(count(list, "svg") >= 5)
  end)

  it("loads nothing and runs nothing", function()
    for _, element in ipairs((elements(page))) do
      assert.is_nil(({ script = true, link = true, img = true, iframe = true, object = true,
        foreignObject = true,
        a = true,
        image = true, use = true })[element.name], element.name)
      for name, value in pairs(element.attributes) do
        assert.is_nil(name:find("^on"), name)
        assert.is_nil(name:find("href") or name:find("src") or value:find("^%s*javascript:"), name)
      end
    end
    assert.is_nil(page:find("url(", 1, true))
    assert.is_nil(page:find("@import", 1, true))
    assert.has.match("Content%-Security%-Policy\" content=\"default%-src 'none'; style%-src "
      .. "'unsafe%-inline'\"", page)
  end)

  it("holds no byte that is not text, and nothing that turns texts around", function()
    assert.is_truthy(utf8.len(page))
    for _, code in utf8.codes(page) do
      assert.is_true(code >= 32 and code ~= 0x202E and code ~= 0xFFFE or code == 10,
        ("U+%04X"):format(code))
    end
  end)

  it("names each chart and describes it, and has a table beside each", function()
    local list, by_id = elements(page)
    local charts = 0
    for _, element in ipairs(list) do
      if element.attributes.role == "img" then
        charts = charts + 1
        local title, text = element.attributes["aria-labelledby"]:match("^(%S+) (%S+)$")
        assert.same({ "title", "desc" }, { by_id[title].name, by_id[text].name })
        assert.is_true(#by_id[title].text > 5 and #by_id[text].text > 20)
      end
    end
    assert.equal(5, charts)
    assert.equal(charts, count(list, "figure"))
    assert.equal(charts, count(list, "table"))
    assert.equal(charts, count(list, "caption"))
    assert.has.match('<html lang="en">', page)
  end)

  it("has the report's numbers in its tables", function()
    local function rows_of(id)
      local section, rows = page:match('<section id="' .. id .. '".-</section>'), {}
      for name, cells in section:gmatch('<th scope="row"><bdi>(.-)</bdi></th>(.-)</tr>') do
        local row = { (name:gsub("<[^>]*>", "")) }
        for cell in cells:gmatch("<td[^>]*>([^<]*)</td>") do row[#row + 1] = cell end
        rows[#rows + 1] = row
      end
      return rows
    end
    local days = rows_of("day")
    assert.equal(#report.by.day, #days)
    for at, row in ipairs(report.by.day) do
      assert.same({ row.name, tostring(row.charges), tostring(row.refunds), tostring(row.spent) },
        days[at])
    end
    for _, id in ipairs{ "type", "country", "pool" } do
      local whole = core.money(0)
      for _, row in ipairs(rows_of(id)) do whole = whole + row[4] end
      assert.equal(tostring(report.totals.spent), tostring(whole), id)
    end
    for at, row in ipairs(rows_of("renewals")) do
      assert.same({ report.calendar[at].day, tostring(report.calendar[at].orders) },
        { row[1], row[3] })
    end
    for _, gap in ipairs(report.gaps) do
      assert.is_truthy(page:find((gap:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">",
        "&gt;"):gsub('"', "&quot;")), 1,
        true), gap)
    end
  end)

  it("draws to scale, within the chart", function()
    local chart = page:match('<section id="day".-</svg>')
    local width, height = chart:match('viewBox="0 0 (%S+) ([^"]+)"')
    local highest, most = 0, core.money(0)
    for x, y, wide, high in chart:gmatch(
      '<rect class="charge" x="(%S+)" y="(%S+)" width="(%S+)" height="([^"]+)"') do
      assert.is_true(x + wide <= tonumber(width) + 0.01 and y + high <= tonumber(height)
        and tonumber(y) >= 0)
      highest = math.max(highest, tonumber(high))
    end
    local refund = 0
    for high in chart:gmatch('<rect class="refund"[^>]* height="([^"]+)"') do refund =
      math.max(refund,
      tonumber(high)) end
    local most_refund = core.money(0)
    for _, row in ipairs(report.by.day) do
      if row.charges > most then most = row.charges end
      if row.refunds > most_refund then most_refund = row.refunds end
    end
    assert.is_true(math.abs(refund / highest - most_refund / most) < 0.01)
  end)

  it("is small over years, with as many rows as a page can show", function()
    local years = px.report.html(reports.make(1500))
    local list = elements(years)
    assert.is_true(#years < 100000)
    assert.is_true(count(list, "tr") < 31 + 3 * 13 + 32 + 5)
  end)

  it("says that there is nothing where there is nothing", function()
    local empty = reports.of({}, {}, core.money(5))
    local text = px.report.html(empty)
    local list = elements(text)
    assert.equal(0, count(list, "svg"))
    assert.is_nil(text:find("nan", 1, true) or text:find("inf", 1, true))
    for _, gap in ipairs(empty.gaps) do assert.is_truthy(text:find(gap, 1, true)) end
    assert.has.match("unknown", text)
  end)

  it("shows amounts of any size, and more refunds than charges", function()
    local list = {}
    for at, amount in ipairs{ "0.00000001", "9000000000.12345678", "0" } do
      list[at] = { type = at == 1 and "charge" or "refund", amount = core.money(amount),
        created_at = "2026-11-25T00:00:00Z" }
    end
    for _, balance in ipairs{ "-5", "0", "0.00000001" } do
      local order = { id = "o", status = "active", expires_at = "2026-12-01", price = core.money(1),
        period = 1 }
      local text = px.report.html(reports.of({ order }, list, core.money(balance)))
      elements(text)
      assert.is_nil(text:find('="-?nan') or text:find('="-?inf'))
      assert.is_truthy(text:find("9000000000.12345677", 1, true))
    end
  end)
end)
