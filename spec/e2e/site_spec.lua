-- The site of the documentation (`make doc`) in a real browser: it finds things, its links lead
-- somewhere, it fits a phone, and it loads nothing from the network. `make check-doc` runs it; a
-- browser takes too long for every change.

local browser = require "spec.support.browser"
local core = require "proxylua.core"
local program = require "spec.support.program"

if not os.getenv("DOC_LONG") then
  describe("the site", function()
    pending("is opened in a browser by make check-doc, which takes too long for every change")
  end)
  return
end

local FOLDER = "build/doc/"
local PHONE, DESK = 360, 1280 -- widths in pixels

local function files()
  local list = {}
  local pipe = assert(io.popen("ls " .. FOLDER .. "*.html"))
  for path in pipe:lines() do list[#list + 1] = path end
  assert(pipe:close())
  return list
end

describe("the site", function()
  local page

  before_each(function() page = browser.open(FOLDER .. "index.html") end)
  after_each(function() page:close() end)

  local function show(path, size)
    page:show(size, "screen", "light")
    page:call("Page.navigate", { url = "file://" .. core.system.real_path(path) })
    page:await("Page.loadEventFired")
  end

  local function search(words)
    return page:eval(([[(() => {
      const input = document.getElementById("search");
      input.value = %s;
      input.dispatchEvent(new Event("input"));
      return [...document.querySelectorAll("#results a")].map(one => one.getAttribute("href"));
    })()]]):format(core.json.encode(words)))
  end

  it("finds functions, commands and subjects", function()
    assert.are.equal("reference.html#px.orders.create", search("px.orders.create")[1])
    assert.are.equal("fleet.html#fleets", search("fleets")[1])
    local settings = search("PROXYLUA_SETTLE")
    assert.is_truthy(table.concat(settings, " "):find("configuration.html#settings", 1, true))
    assert.are.equal(0, #search("no such words anywhere xyzzy"))
  end)

  it("has links that lead to pages and headings", function()
    local ids = {}
    for _, path in ipairs(files()) do
      local name, text = path:match("[^/]+$"), program.read(path)
      ids[name] = {}
      for id in text:gmatch(' id="([^"]+)"') do ids[name][id] = true end
    end
    local count = 0
    for _, path in ipairs(files()) do
      for link in program.read(path):gmatch('<a href="([^"]+)"') do
        local file, anchor = link:match("^([^#]*)#?(.*)$")
        if not link:find("^https://") then
          local name = file == "" and path:match("[^/]+$") or file
          assert.is_table(ids[name], path .. ": " .. link)
          assert.is_true(anchor == "" or ids[name][anchor] or false, path .. ": " .. link)
          count = count + 1
        end
      end
    end
    assert.is_true(count > 500)
  end)

  it("fits a phone and a desk", function()
    for _, size in ipairs{ PHONE, DESK } do
      for _, path in ipairs(files()) do
        show(path, size)
        local width = page:eval("document.documentElement.scrollWidth")
        assert.is_true(width <= size, ("%s is %d wide of %d"):format(path, width, size))
      end
    end
  end)

  it("loads its own files only", function()
    for _, path in ipairs(files()) do
      local text = program.read(path)
      for tag in text:gmatch("<(%a+[^>]*)>") do
        local source = tag:match('^link.* href="([^"]*)"') or tag:match(' src="([^"]*)"')
        assert.is_true(not source or source == "data:," or source:find("^[%w.-]+$") ~= nil, tag)
      end
      show(path, DESK)
      assert.are.equal(0, page:eval("[...document.images].filter(one => !one.naturalWidth).length"))
      assert.are.equal(1, page:eval("document.styleSheets.length"))
    end
    assert.is_nil(program.read(FOLDER .. "style.css"):find("url(", 1, true))
    assert.is_nil(program.read(FOLDER .. "style.css"):find("@import", 1, true))
    assert.is_nil(program.read(FOLDER .. "search.js"):find("fetch", 1, true))
  end)
end)
