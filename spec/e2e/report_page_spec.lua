-- The page of a report in a real browser: the numbers that it shows, and that nothing overflows at
-- the sizes of a phone, a desk and paper, in light and dark. `make check-report` runs it; it takes
-- too long for every change.

local core = require "proxylua.core"
local px = require "proxylua"

if not os.getenv("REPORT_LONG") then
  describe("the page of a report", function()
    pending("is looked at in a browser with REPORT_LONG=1, as make check-report does")
  end)
  return
end

-- Run in the page by the spec: what overflows, in words. A letter's box may differ by a hair from
-- the box that holds it.
local OVERFLOW = [[(() => {
  const bad = [], root = document.documentElement;
  if (root.scrollWidth > innerWidth) bad.push(`the page is ${root.scrollWidth} wide, the window ${innerWidth}`);
  for (const one of document.querySelectorAll("body *")) {
    const box = one.getBoundingClientRect();
    if (!one.closest("svg") && (box.right > innerWidth + 0.5 || box.left < -0.5))
      bad.push(`${one.tagName} from ${box.left} to ${box.right}`);
    if (one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0 && !one.closest("svg") && getComputedStyle(one).display != "inline")
      bad.push(`${one.tagName} ${one.className} holds ${one.scrollWidth} in ${one.clientWidth}`);
  }
  for (const chart of document.querySelectorAll("figure > svg")) {
    const [, , width, height] = chart.getAttribute("viewBox").split(" ").map(Number);
    for (const shape of chart.querySelectorAll(":scope > text, :scope > rect, :scope > path, :scope > circle, :scope > line, :scope > svg")) {
      const box = shape.getBBox();
      if (box.x < -0.5 || box.y < -0.5 || box.x + box.width > width + 0.5 || box.y + box.height > height + 0.5)
        bad.push(`${shape.tagName} "${shape.textContent}" ${box.x},${box.y} ${box.width}x${box.height} in ${width}x${height}`);
    }
    const texts = [...chart.querySelectorAll(":scope > text, :scope > svg.window")].map(one => one.getBoundingClientRect());
    texts.forEach((a, i) => texts.slice(i + 1).forEach(b => {
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4)
        bad.push(`texts lie on each other at ${a.left},${a.top}`);
    }));
  }
  return bad.slice(0, 5);
})()]]

-- The least contrast between a text and what it stands on, as WCAG has it.
local CONTRAST = [[(() => {
  const rgb = text => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = one => {
    for (; one; one = one.parentElement) {
      const color = rgb(getComputedStyle(one).backgroundColor);
      if (color.length == 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  let least = 99;
  for (const one of document.querySelectorAll("h1, h2, p, dt, dd *, th, td, caption, li, footer, svg text")) {
    const style = getComputedStyle(one);
    const a = light(rgb(one.closest("svg") ? style.fill : style.color)), b = light(ground(one));
    least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return least;
})()]]

local ROWS = [[(id => [...document.querySelectorAll(`#${id} tbody tr`)]
  .map(row => [...row.children].map(cell => cell.textContent)))]]

local sizes = { { "a phone", 320, "screen" }, { "a phone", 360, "screen" },
  { "a desk", 1280, "screen" },
  { "paper", 718, "print" } }

describe("the page of a report in a browser", function()
  local browsers, program = require "spec.support.browser", require "spec.support.program"
  local reports = require "spec.support.reports"
  local folder, report, browser

  local function open(made)
    report = made
    browser = browsers.open(program.write(folder .. "/page.html", px.report.html(made)))
  end

  setup(function() folder = program.folder() end)
  teardown(function() program.remove(folder) end)
  after_each(function() browser:close() end)

  local function look_everywhere()
    for _, size in ipairs(sizes) do
      for _, scheme in ipairs{ "light", "dark" } do
        browser:show(size[2], size[3], scheme)
        local place = ("%s, %d wide, %s"):format(size[1], size[2], scheme)
        assert.equal(size[2], browser:eval("innerWidth"))
        assert.same({}, browser:eval(OVERFLOW), place)
        assert.is_true(tonumber(browser:eval(CONTRAST)) >= 4.5, place)
      end
    end
  end

  it("shows the report's numbers, and overflows nowhere", function()
    open(reports.make(30))
    look_everywhere()
    local days = browser:eval(ROWS .. "('day')")
    assert.equal(#report.by.day, #days)
    for at, row in ipairs(report.by.day) do
      assert.same({ row.name, tostring(row.charges), tostring(row.refunds), tostring(row.spent) },
        days[at])
    end
    for _, id in ipairs{ "type", "country", "pool" } do
      local whole = core.money(0)
      for _, row in ipairs(browser:eval(("%s('%s')"):format(ROWS, id))) do
        whole = whole + row[4]
      end
      assert.equal(tostring(report.totals.spent), tostring(whole), id)
    end
    for at, row in ipairs(browser:eval(ROWS .. "('renewals')")) do
      assert.equal(report.calendar[at].day, row[1])
    end
    assert.equal(tostring(report.totals.spent),
      browser:eval("document.querySelector('.figures dd').textContent"))
    assert.equal(#report.gaps, browser:eval("document.querySelectorAll('#gaps li').length"))
  end)

  it("shows names as they are, and runs none of them", function()
    open(reports.make(30))
    assert.equal(0, browser:eval("document.querySelectorAll('script, img, i, b').length"))
    local labels = {}
    for _, row in ipairs(browser:eval(ROWS .. "('country')")) do labels[row[1]] = true end
    for _, row in ipairs(require("proxylua.report.summary").top(report.by.country, 12)) do
      assert.is_true(labels[require("proxylua.report.labels").clean(row.name)], row.name)
    end
  end)

  it("is dark where dark is wanted, and paper is white", function()
    open(reports.make(3))
    local function ground(...)
      browser:show(...)
      return browser:eval("getComputedStyle(document.body).backgroundColor")
    end
    assert.equal("rgb(255, 255, 255)", ground(1280, "screen", "light"))
    assert.equal("rgb(13, 17, 23)", ground(1280, "screen", "dark"))
    assert.equal("rgb(255, 255, 255)", ground(718, "print", "dark"))
    assert.equal("JVBERi", browser:call("Page.printToPDF").data:sub(1, 6))
  end)

  local order = { id = "o", status = "active", expires_at = "2026-11-26",
    price = core.money("99999.12345678"),
    period = 1 }
  local large = { type = "charge", amount = core.money("123456789.12345678"),
    created_at = "2026-11-25",
    order_id = "o" }
  for name, make in pairs{
    years = function() return reports.make(1500) end,
    ["a single day"] = function() return reports.make(1) end,
    ["large amounts, and a balance that ends"] = function() return reports.of({ order }, { large },
      core.money("123456.78")) end,
    ["nothing at all"] = function() return reports.of({}, {}, nil) end,
  } do
    it("has room for " .. name, function()
      open(make())
      look_everywhere()
    end)
  end
end)
