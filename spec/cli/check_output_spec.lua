-- lua/proxylua/cli/check_output.lua: results are not lost because something cannot be written.

local core = require "proxylua.core"
local program = require "spec.support.program"
local servers = require "spec.support.server"

local URL = "http://page.example/trace"
local proxy

setup(function()
  proxy = servers.start{ ["/trace"] = servers.ok("ip=192.0.2.7\nloc=DE\n") }
end)
teardown(function() proxy:stop() end)

-- Checks a list in a folder of its own; `before` is in out.txt.
local function check(list, words, options)
  local folder = program.folder()
  core.system.make_folder(folder .. "/home")
  program.write(folder .. "/out.txt", "before")
  local all = { cwd = folder, home = folder .. "/home", stdin = list }
  for name, value in pairs(options or {}) do all[name] = value end
  local line = { "check", "--url", URL, "--from", "-" }
  table.move(words, 1, #words, #line + 1, line)
  return program.run(line, all), folder
end

local function url(user)
  return ("http://%s127.0.0.1:%d\n"):format(user or "", proxy.port)
end

describe("proxylua check", function()
  it("saves the working proxies elsewhere when the format cannot carry one", function()
    local list = url("u:p@") .. url(("u"):rep(200) .. ":p@")
    local result, folder = check(list, { "-o", "out.txt", "-f", "squid", "--concurrency", "1" })
    assert.are.same({ 2, "before" }, { result.code, program.read(folder .. "/out.txt") })
    local path = result.err:match("the working proxies are in (%S+)\n")
    assert.are.equal(list, program.read(path))
    assert.matches("^" .. folder:gsub("%p", "%%%0") .. "/home/state/", path)
    local pipe = io.popen("stat -c %a " .. path)
    assert.are.equal("600", pipe:read("l"))
    pipe:close()
  end)

  it("prints them as the last resort", function()
    local list = url("u:p@") .. url(("u"):rep(200) .. ":p@")
    local result = check(list, { "-o", "out.txt", "-f", "squid" },
      { env = { TMPDIR = "/nowhere", XDG_STATE_HOME = "/dev/null" } })
    assert.are.equal(2, result.code)
    for line in list:gmatch("[^\n]+") do assert.matches(line, result.err, 1, true) end
  end)

  it("writes the file though standard output is full or gone", function()
    for _, options in ipairs{ { to = "/dev/full" }, { unread = true } } do
      local result, folder = check(url():rep(1) .. "127.0.0.1:1\n", { "-o", "out.txt" }, options)
      assert.are.equal(url(), program.read(folder .. "/out.txt"))
      if options.to then
        assert.are.equal(4, result.code)
        assert.matches("cannot write to standard output", result.err)
      end
    end
  end)

  it("saves JSON elsewhere when standard output is full", function()
    local result = check(url("u:p@"), { "--json" }, { to = "/dev/full" })
    local path = result.err:match("the results are in (%S+)\n")
    local record = core.json.decode(program.read(path))
    assert.are.same({ 4, true, "192.0.2.7" }, { result.code, record.works, record.ip })
  end)

  it("goes on without a store that fails, and exits with its code", function()
    local folder = program.folder()
    local store = program.write(folder .. "/damaged.db", ("not a database\n"):rep(100))
    local result, home = check(url() .. "127.0.0.1:1\n", { "-o", "out.txt" },
      { env = { PROXYLUA_STORE = store } })
    assert.are.same({ 4, url() }, { result.code, program.read(home .. "/out.txt") })
    assert.matches("1 of 2 work", result.err, 1, true)
    assert.matches("history cannot be stored", result.err, 1, true)
  end)

  it("tries the output before the first request", function()
    for _, words in ipairs{ { "-o", "/nowhere/x" }, { "-o", "x", "-f", "none" }, { "-o", "home" },
      { "--sort", "name" }, { "--concurrency", "0" } } do
      local before = #proxy:requests()
      local result = check(url(), words)
      assert.is_true(result.code == 2 or result.code == 4, result.err)
      assert.are.equal(before, #proxy:requests())
    end
  end)

  it("sorts by latency, in the output and in the file", function()
    local list = { "127.0.0.1:1\n" }
    for at = 1, 30 do list[#list + 1] = url("u" .. at .. "@") end
    local result, folder = check(table.concat(list), { "--jsonl", "--sort", "latency", "-o",
      "out.txt" })
    local last, users = 0, {}
    for line in result.out:gmatch("[^\n]+") do
      local record = core.json.decode(line)
      assert.is_true(last <= (record.time or math.huge))
      last = record.time or math.huge
      users[#users + 1] = record.works and url(record.username .. "@") or nil
    end
    assert.are.equal(30, #users)
    assert.are.equal(math.huge, last)
    assert.are.equal(table.concat(users), program.read(folder .. "/out.txt"))
  end)
end)

describe("the total of a check of orders", function()
  it("is known before the first proxy arrives, and corrected by what arrives", function()
    local result = program.run({ "-e", [[
      local source = require "proxylua.cli.args.proxy_source"
      local px = require "proxylua"
      px.orders.each = function()
        local at = 0
        return function()
          at = at + 1
          return at <= 3 and { id = "ord_" .. at, quantity = 2, type = "isp" } or nil
        end
      end
      px.orders.proxies = function(id)
        if id == "ord_3" then px.error.raise{ kind = "not_found", message = "gone" } end
        return { { host = "10.0.0.1" }, { host = "10.0.0.2" }, id == "ord_2" and {} or nil }
      end
      local next_proxy, given = source.of({ orders = {} },
        { note = function() end, reporter = function() end })
      local totals = {}
      for _ in next_proxy do totals[#totals + 1] = given.total end
      print(table.concat(totals, " "), given.total)]] })
    assert.are.equal("6 6 7 7 7\t5\n", result.out, result.err)
  end)
end)
