-- The format scrapy, read by Scrapy itself, whose requests go through two real proxies.

local program = require "spec.support.program"
local proxies = require "spec.support.proxies"
local px = require "proxylua"
local servers = require "spec.support.server"

-- What scrapy-rotating-proxies does with its list: a proxy of it for each request.
local SPIDER <const> = [[
import sys
import scrapy
from scrapy.crawler import CrawlerProcess

class Spider(scrapy.Spider):
    name = "list"

    def start_requests(self):
        for line in open(sys.argv[1]):
            yield scrapy.Request(sys.argv[2], meta={"proxy": line.strip()}, dont_filter=True)

    def parse(self, response):
        print(response.status, "the page" in response.text)

process = CrawlerProcess({"LOG_ENABLED": False, "TELNETCONSOLE_ENABLED": False,
    "RETRY_ENABLED": False, "HTTPERROR_ALLOW_ALL": True})
process.crawl(Spider)
process.start()
]]

local page, first, second

setup(function()
  page = servers.start{ ["/page"] = servers.ok("the page") }
  first, second = proxies.tinyproxy(), proxies.tinyproxy()
end)
teardown(function()
  page:stop()
  first:stop()
  second:stop()
end)

it("Scrapy fetches through each proxy of the list, with its credentials", function()
  local folder = program.folder()
  px.export.file({ first:url("http", "bob:s3c"), second:url("http", "bob:s3c"),
    second:url("http", "bob:wrong") }, folder .. "/list", { format = "scrapy" })
  local pipe = io.popen(("/usr/bin/python3 %s %s %s 2>&1"):format(
    program.write(folder .. "/spider.py", SPIDER), folder .. "/list", page.url .. "/page"))
  local text = pipe:read("a")
  pipe:close()
  local lines = {}
  for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
  table.sort(lines)
  assert.same({ "200 True", "200 True", "401 False" }, lines)
  for _, proxy in ipairs{ first, second } do
    assert.matches("/page", program.read(proxy.folder .. "/tiny.log"), 1, true)
  end
end)
