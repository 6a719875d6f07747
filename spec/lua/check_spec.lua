-- lua/proxylua/check: what it says of proxies that work and of those that fail in every way, and
-- what is kept of it.

local core = require "proxylua.core"
local nginx = require "spec.support.nginx"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"
local summaries = require "proxylua.check.summary"

local sandbox, silent, strange, secure

setup(function()
  sandbox = sandboxes.start()
  silent = servers.start{ ["/_sandbox/trace"] = { "", hold = true } }
  secure = nginx.start{}
  strange = servers.start{ ["/_sandbox/trace"] = "HTTP/1.1 403 Forbidden\r\n\r\n" }
end)
teardown(function()
  silent:stop()
  secure:stop()
  strange:stop()
  sandbox:stop()
end)

local fresh = 0

-- Runs code with `proxies`, three real ones in the US, and a store of its own.
local function eval(code)
  fresh = fresh + 1
  return sandbox:eval(([[
    local order = px.orders.create{ type = "isp", quantity = 3, country = "US", key = "check" }
    local proxies = px.orders.wait(order.id)
    for _, proxy in ipairs(proxies) do proxy.country = order.country end
    local trace = %q
    %s]]):format(sandbox.trace_url, code), { env = { PROXYLUA_STORE =
      ("%s/%d.db"):format(sandbox.home, fresh) } })
end

describe("px.check.run", function()
  it("says of each proxy whether it works, how fast, and who is seen", function()
    local works, reasons, seen = eval[[
      local seen = {}
      local summary = px.check.run(proxies, { url = trace, each = function(result, proxy)
        assert(result.works and result.time > 0 and result.connect_time >= 0 and result.status == 200)
        assert(proxy.password and not result.password)
        seen[#seen + 1] = result.ip .. " " .. result.country
      end })
      table.sort(seen)
      assert(summary.p50 <= summary.p95 and summary.p95 <= summary.p99 and summary.p99 <= summary.slowest)
      return summary.works, summary.reasons, seen]]
    assert.are.equal(3, works)
    assert.is_nil(next(reasons))
    assert.are.same({ "127.1.0.1 US", "127.1.0.2 US", "127.1.0.3 US" }, seen)
  end)

  it("says why one does not", function()
    local reasons = eval(([[
      local good = proxies[1]
      local function with(scheme, user) return ("%%s://%%s@%%s:%%d"):format(scheme, user, good.host, good.port) end
      local cases = {
        refused = "http://127.0.0.1:1", ["refused "] = "socks5://127.0.0.1:1", timeout = "http://127.0.0.1:%d",
        auth = with("http", "nobody:wrong"), tls = %q, resolve = "http://nowhere.invalid:80",
        ["status 403"] = "http://127.0.0.1:%d",
      }
      local reasons = {}
      for wanted, url in pairs(cases) do
        px.check.run({ url }, { url = trace, timeout = 1, each = function(result)
          reasons[wanted] = result.works and "works" or result.reason
        end })
      end
      return reasons]]):format(silent.port, secure.http1_url, strange.port))
    for wanted, reason in pairs(reasons) do assert.are.equal((wanted:gsub(" $", "")), reason) end
  end)

  it("says that a tunnel is refused by the credentials", function()
    assert.are.equal("auth", eval[[
      local reason
      local url = ("http://nobody:wrong@%s:%d"):format(proxies[1].host, proxies[1].port)
      px.check.run({ url }, { url = "https://127.0.0.1:9/", each = function(result) reason = result.reason end })
      return reason]])
  end)

  it("compares the country with what was bought, or with what is asked for", function()
    local bought, asked = eval[[
      proxies[1].country = "DE"
      local asked = px.check.run(proxies, { url = trace, country = "us" })
      return px.check.run(proxies, { url = trace }).reasons, asked.works]]
    assert.are.same({ country = 1 }, bought)
    assert.are.equal(3, asked)
  end)

  it("does not compare countries when the page reports no country code", function()
    assert.are.same({ 3, "usage" }, (eval[[
      proxies[1].country, proxies[2].country = "United States", { code = "US" }
      return { px.check.run(proxies, { url = trace }).works,
        select(2, px.try(px.check.run, proxies, { url = trace, country = "usa" })).kind }]]))
  end)

  it("goes by rules that are added", function()
    assert.are.same({ odd = 2, ["seen twice"] = 1 }, (eval[[
      px.check.register("odd", function(result) return result.username:find("[13]$") ~= nil end)
      px.check.register("other", function() return "seen twice" end)
      assert(px.try(px.check.register, "odd", print) == nil)
      return px.check.run(proxies, { url = trace }).reasons]]))
  end)

  it("takes an iterator of any length, so many at once, in memory that does not grow", function()
    local total, most, growth = eval[[
      local at, before = 0, nil
      local function next_proxy()
        at = at + 1
        if at == 2000 then collectgarbage() before = collectgarbage("count") end
        return at <= 10000 and "http://127.0.0.1:1" or nil
      end
      local summary = px.check.run(next_proxy, { url = trace, concurrency = 50, history = false })
      collectgarbage()
      return summary.total, summary.reasons.refused, collectgarbage("count") - before]]
    assert.are.same({ 10000, 10000 }, { total, most })
    assert.is_true(growth < 500, growth)
  end)

  it("returns the results so far when it is interrupted", function()
    local total, kind, works = eval(([[
      local summary = px.check.summary()
      proxies[4] = "http://127.0.0.1:%d"
      local _, err = px.try(px.timeout, 0.7, px.check.run, proxies, { url = trace, summary = summary, timeout = 60 })
      return summary.total, err.kind, summary.works]]):format(silent.port))
    assert.are.same({ 3, "timeout", 3 }, { total, kind, works })
  end)

  it("refuses what it cannot use", function()
    assert.are.same({ "usage", "usage", "usage", "usage" }, (eval[[
      local kinds = {}
      for at, options in ipairs{ { timeout = "soon" }, { timeot = 1 }, { each = 1 }, { timeout = 0 } } do
        local _, err = px.try(px.check.run, proxies, options)
        kinds[at] = err.kind
      end
      return kinds]]))
  end)
end)

describe("px.check.each_history", function()
  it("keeps the last outcomes of each, and counts how often they changed", function()
    local record, count = eval[[
      local good, bad = proxies[1].url, proxies[1].url:gsub(":[^:@/]*@", ":wrong@")
      for at = 1, 25 do px.check.run({ at % 5 == 0 and bad or good }, { url = trace }) end
      px.check.run({ proxies[2] }, { url = trace, history = false })
      local count, found = 0, nil
      for record in px.check.each_history() do count, found = count + 1, record end
      return found, count]]
    assert.are.equal(1, count)
    assert.are.same({ 20, 16, 7, "auth" }, { record.checks, record.works, record.flaps,
      record.last })
    assert.matches("^%d+%-%d+%-%d+T[%d:]+Z$", record.last_at)
  end)
end)

describe("the history of a proxy", function()
  it("has its own user name, protocol and reason", function()
    local records = eval[[
      local users = { "a:1:b", "b", "\xFF", "?", "x@y z" }
      px.check.register("my_rule-1 é", function() return true end)
      for _, user in ipairs(users) do
        for _, protocol in ipairs{ "http", "socks5" } do
          px.check.run({ { host = "::1", port = 1, username = user, protocol = protocol,
            url = protocol .. "://[::1]:1" } }, { url = trace })
        end
      end
      px.check.run({ proxies[1] }, { url = trace })
      local list = {}
      for record in px.check.each_history() do
        local known = record.host == "127.0.0.1" and "last" or record.username
        list[#list + 1] = record.host .. " " .. px.json.encode(known, { bytes = "escape" }) .. " "
          .. record.protocol .. " " .. record.last .. " " .. record.checks
      end
      table.sort(list)
      return list]]
    local wanted = { '127.0.0.1 "last" http my_rule-1 é 1' }
    for _, user in ipairs{ '"a:1:b"', '"b"', '"\\udcff"', '"?"', '"x@y z"' } do
      for _, protocol in ipairs{ "http", "socks5" } do
        wanted[#wanted + 1] = ("::1 %s %s refused 1"):format(user, protocol)
      end
    end
    table.sort(wanted)
    assert.are.same(wanted, records)
  end)
end)

describe("a summary", function()
  it("has percentiles within two percent of the true ones, for any times", function()
    for _ = 1, 30 do
      local summary, times = summaries.new(), {}
      for at = 1, math.random(1, 400) do
        times[at] = math.exp(math.random() * 12 - 8)
        summary:add{ works = true, time = times[at] }
      end
      summary:finish()
      table.sort(times)
      for name, part in pairs{ p50 = 0.5, p95 = 0.95, p99 = 0.99 } do
        local exact = times[math.ceil(#times * part)]
        assert.is_true(summary[name] >= exact * 0.9999 and summary[name] <= exact * 1.0201, name)
      end
      assert.are.equal(times[#times], summary.slowest)
    end
  end)
end)

describe("proxylua check", function()
  it("exits with 12 when there is no proxy to check", function()
    local result = program.run({ "--sandbox", "--json", "check" })
    assert.are.same({ 12, "[]\n", "proxylua: no proxies found\n" },
      { result.code, result.out, result.err })
  end)

  local function run(...)
    return sandbox:run{ "check", "--url", sandbox.trace_url, ... }
  end

  setup(function()
    sandbox:eval[[px.orders.create{ type = "isp", quantity = 2, country = "US", key = "command" }]]
  end)

  it("prints a line a proxy, and a summary", function()
    local result = run("--only", "working")
    assert.are.equal(0, result.code)
    assert.matches("^host\tport\tusername\tworks\t", result.out)
    assert.matches("works?\n", result.err)
    assert.matches("p50 %d+ ms, p95 %d+ ms, p99 %d+ ms", result.err)
    assert.are.equal("", run("--only", "failing", "--quiet").out:gsub("^[^\n]*\n", ""))
  end)

  it("reads a file, writes the working proxies to another, and reports by its exit code", function()
    local all, good = sandbox.home .. "/all.txt", sandbox.home .. "/good.txt"
    local text = sandbox:run({ "export", "-f", "txt" }).out
    program.write(all, text .. "127.0.0.1:1:a:b\n")
    assert.are.equal(11, run("--from", all, "-o", good, "-f", "txt", "--exit-code").code)
    local function sorted(lines)
      local list = {}
      for line in lines:gmatch("[^\n]+") do list[#list + 1] = line end
      table.sort(list)
      return list
    end
    assert.are.same(sorted(text), sorted(program.read(good)))
    assert.are.equal(0, run("--from", good, "--exit-code").code)
    local values = core.json.decode(sandbox:run({ "--json", "check", "--url", sandbox.trace_url,
      "--from", all }).out)
    assert.are.equal(#sorted(text) + 1, #values)
    assert.matches("refused", sandbox:run({ "check", "--history" }).out)
  end)

  it("reports the results so far when it is interrupted, and exits with 130", function()
    local list = program.write(sandbox.home .. "/slow.txt", ("127.0.0.1:1\n"):rep(30)
      .. ("127.0.0.1:%d\n"):format(silent.port))
    local result = program.run({ "-c",
      ('"$0" "$@" >lines & pid=$!; until grep -q refused lines; do :; done; '
      .. 'kill -INT $pid; wait $pid; echo $?'), program.path, "check", "--url", sandbox.trace_url,
      "--from", list },
      { program = "/bin/bash", env = { PROXYLUA_BASE_URL = sandbox.url,
        PROXYLUA_API_KEY = sandbox.key } })
    assert.are.equal("130\n", result.out)
    assert.matches("so far 0 of %d+ work; reasons: %d+ refused", result.err)
  end)

  it("refuses what makes no sense", function()
    assert.are.equal(2, run("--flapping").code)
    assert.are.equal(2, run("-o", "-").code)
    assert.are.equal(2, run("--format", "txt").code)
    assert.are.equal(2, run("--only", "some").code)
    assert.are.equal(2, sandbox:run({ "check", "--from", "/nowhere" }).code)
  end)
end)
