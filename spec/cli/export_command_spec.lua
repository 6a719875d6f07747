-- lua/proxylua/cli/commands/export.lua: the command, against a sandbox.

local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local sandbox, isp, mobile

setup(function()
  sandbox = sandboxes.start()
  local ids = sandbox:eval[[
    local one = px.orders.create{ type = "isp", quantity = 3, country = "US", period = 30 }
    local two = px.orders.create{ type = "mobile", quantity = 2, country = "DE", period = 30 }
    return { one.id, two.id }
  ]]
  isp, mobile = ids[1], ids[2]
end)
teardown(function() sandbox:stop() end)

local function run(...)
  return sandbox:run{ "export", ... }
end

local function lines(...)
  local result = run(...)
  assert.equal(0, result.code, result.err)
  return select(2, result.out:gsub("\n", "")), result.out
end

describe("proxylua export", function()
  it("writes the proxies of all active orders, or of those that are asked for", function()
    assert.equal(5, (lines()))
    assert.equal(3, (lines(isp, "-f", "txt")))
    assert.equal(5, (lines(mobile, isp)))
    assert.equal(3, (lines("--type", "isp")))
    assert.equal(2, (lines("--country", "de")))
    assert.equal(12, run("--status", "cancelled").code)
    local result = run("--country", "usa")
    assert.equal(2, result.code)
    assert.matches("--country takes a code of two letters, such as US, got usa", result.err, 1,
      true)
    local _, text = lines(isp, "--template", "%login%:%password%@%ip%:%port%")
    assert.matches("^[%w-]+:%w+@127%.0%.0%.1:%d+\n", text)
  end)

  it("tells of each where it comes from", function()
    local countries = {}
    for _, proxy in ipairs(core.json.decode(run("-f", "json").out)) do
      countries[proxy.order_id] = (countries[proxy.order_id] or "") .. proxy.country
    end
    assert.same({ [isp] = "USUSUS", [mobile] = "DEDE" }, countries)
  end)

  it("writes a file that reads back with --from, also from standard input", function()
    local path = sandbox.home .. "/proxies.yaml"
    local result = run("-f", "clash", "-o", path)
    assert.same({ 0, "", "proxylua: 5 proxies in " .. path .. "\n" },
      { result.code, result.out, result.err })
    local urls = run().out
    assert.equal(urls, run("--from", path).out)
    assert.equal(urls, sandbox:run({ "export", "--from", "-" },
      { stdin = run("-f", "csv").out }).out)
  end)

  it("answers JSON about a file, and none in place of a format", function()
    local path = sandbox.home .. "/told"
    local result = sandbox:run{ "--json", "export", "-o", path }
    assert.same({ file = path, proxies = 5 }, core.json.decode(result.out))
    for _, form in ipairs{ "--json", "--jsonl" } do
      result = sandbox:run{ form, "export" }
      assert.same({ 2, "" }, { result.code, result.out })
      assert.matches(form .. ": an export has a form of its own; --format json is JSON", result.err,
        1, true)
    end
  end)

  it("writes to standard output where the file is -", function()
    local home = program.folder()
    local result = sandbox:run({ "export", "-o", "-" }, { cwd = home })
    assert.same({ 0, run().out, "" }, { result.code, result.out, result.err })
    assert.is_nil(core.system.kind(home .. "/-"))
  end)

  it("refuses what cannot be, and leaves the file that was there", function()
    local path = program.write(sandbox.home .. "/before", "before")
    for _, case in ipairs{
      { "give one of them", "-f", "clash", "--template", "%ip%" },
        { "no format clsh", "-f", "clsh" },
      { "no orders can be chosen", isp, "--from", path }, { "these are named", isp, "--type",
        "isp" },
      { "before:1: .*nothing was done", "--from", path }, { "one proxy a transfer", "-f", "curl" },
      { "belongs to", "--url", "http://x/" }, { "without its end", "--template", "%ip" },
    } do
      local words = table.move(case, 2, #case, 3, { "-o", path })
      local result = run(table.unpack(words))
      assert.equal(2, result.code, result.err)
      assert.matches(case[1], result.err)
      assert.equal("before", program.read(path))
    end
    assert.equal(3, run("ord_none").code)
  end)

  it("masks passwords on a terminal, unless it is told not to", function()
    local proxies = core.json.decode(sandbox:run{ "--json", "orders", "proxies", isp }.out)
    local function screen(...)
      local line = program.command(sandbox.home, { "export", isp, ... }, {
        PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key, PROXYLUA_LIMITS = "off",
          TERM = "xterm",
      })
      local pipe = assert(io.popen(("script -qec %s /dev/null </dev/null"):format(
        program.quote(line))))
      local text = pipe:read("a")
      pipe:close()
      return text
    end
    local function shows(...)
      local text = screen("-f", "txt", ...)
      return { text:find(proxies[1].password, 1, true) ~= nil, text:find(proxies[1].username, 1,
        true) ~= nil }
    end
    assert.same({ false, true }, shows())
    assert.same({ true, true }, shows("--reveal"))
    for _, format in ipairs{ "url", "env", "squid", "json", "clash" } do
      assert.matches("[:\"]%*%*%*%*%*%*%*%*[@\"\r]", screen("-f", format))
    end
  end)
end)
