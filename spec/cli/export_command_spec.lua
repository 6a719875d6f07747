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

  it("prints the source of each proxy", function()
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

  it("prints JSON about the file that it wrote, and refuses JSON in place of a format", function()
    local path = sandbox.home .. "/told"
    local result = sandbox:run{ "--json", "export", "-o", path }
    assert.same({ file = path, proxies = 5 }, core.json.decode(result.out))
    for _, form in ipairs{ "--json", "--jsonl" } do
      result = sandbox:run{ form, "export" }
      assert.same({ 2, "" }, { result.code, result.out })
      local why = ": an export cannot be printed as JSON; use --format json"
      assert.matches(form .. why, result.err,
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
      { "use either", "-f", "clash", "--template", "%ip%" },
        { "no format clsh", "-f", "clsh" },
      { "cannot be used together with orders", isp, "--from", path },
      { "cannot be used with order ids", isp, "--type", "isp" },
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

  it("masks passwords on a terminal by default", function()
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

-- --- lists of the user ---

-- Runs without an API, in a folder with these files.
local function with_files(files, words, options)
  local home = program.folder()
  finally(function() program.remove(home) end)
  for name, text in pairs(files) do program.write(home .. "/" .. name, text) end
  options = options or {}
  options.cwd = home
  return sandbox:run(words, options), home
end

describe("--from", function()
  local good, other = "http://bob:s3c@10.1.2.3:8080\n", "socks5://10.1.2.4:1080\n"

  it("may be given several times, and drops what is there twice", function()
    local result = with_files({ a = good .. other .. good, b = "10.1.2.3:8080:bob:s3c\n" },
      { "export", "--from", "a", "--from", "b" })
    assert.same({ 0, good .. other }, { result.code, result.out })
    assert.matches("2 duplicates dropped", result.err)
  end)

  it("takes the protocol of proxies that do not give one", function()
    local words = { "export", "--from", "a", "--protocol", "socks5" }
    local result = with_files({ a = "10.1.2.4:1080\n" .. good }, words)
    assert.same({ 0, other .. good }, { result.code, result.out })
    words[5] = "ftp"
    result = with_files({ a = good }, words)
    assert.same({ 2, "" }, { result.code, result.out })
    assert.matches("--protocol", result.err, 1, true)
    result = with_files({}, { "export", "--protocol", "http" })
    assert.equal(2, result.code)
    assert.matches("--protocol belongs to --from", result.err, 1, true)
  end)

  it("stops before anything is written, and names the bad lines", function()
    local list = { "10.1.2.3:1" }
    for at = 2, 30 do list[at] = "bad" .. at end
    local text = table.concat(list, "\n")
    for _, words in ipairs{ { "export" }, { "check" }, { "export", "-o", "out.txt" } } do
      table.move({ "--from", "a" }, 1, 2, #words + 1, words)
      local result, home = with_files({ a = text, ["out.txt"] = "before" }, words)
      assert.same({ 2, "before" }, { result.code, program.read(home .. "/out.txt") })
      assert.is_nil(result.out:find("10.1.2.3", 1, true))
      assert.matches("a:2: ", result.err, 1, true)
      assert.matches("a:21: ", result.err, 1, true)
      assert.is_nil(result.err:find("a:22: ", 1, true))
      assert.matches("9 more", result.err)
      assert.matches("--skip-bad", result.err, 1, true)
    end
  end)

  it("reads a pipe twice as well", function()
    local result = with_files({}, { "export", "--from", "-" }, { stdin = good .. other .. "bad\n" })
    assert.same({ 2, "" }, { result.code, result.out })
    assert.matches("standard input:3: ", result.err, 1, true)
    result = with_files({}, { "export", "--from", "-" }, { stdin = good .. other })
    assert.same({ 0, good .. other }, { result.code, result.out })
  end)

  it("goes on with --skip-bad, reports each bad line and exits with 0", function()
    local result = with_files({ a = good .. "404: Not Found\n" .. other },
      { "export", "--from", "a", "--skip-bad" })
    assert.same({ 0, good .. other }, { result.code, result.out })
    assert.matches("a:2: ", result.err, 1, true)
    assert.matches("1 bad line skipped", result.err, 1, true)
  end)

  it("counts what is not a proxy", function()
    local result = with_files({ a = good .. "vmess://x\nss://y@z:1\n" },
      { "export", "--from", "a" })
    assert.same({ 0, good }, { result.code, result.out })
    assert.matches("skipped entries that are not proxies: 1 ss, 1 vmess", result.err, 1, true)
  end)

  it("without any proxy is exit code 12, and leaves the file that was there", function()
    for _, text in ipairs{ "", "# nothing\n", "vmess://x\n" } do
      for _, command in ipairs{ "export", "check" } do
        local result, home = with_files({ a = text, ["out.txt"] = "before" },
          { command, "--from", "a", "-o", "out.txt" })
        assert.same({ 12, "before" }, { result.code, program.read(home .. "/out.txt") })
        assert.is_true(#result.err > 0)
      end
    end
    local result, home = with_files({ a = "", ["out.txt"] = "before" },
      { "export", "--from", "a", "-o", "out.txt", "--allow-empty" })
    assert.same({ 0, "" }, { result.code, program.read(home .. "/out.txt") })
    result = with_files({ a = "vmess://x\n" },
      { "export", "--from", "a", "-o", "x", "--allow-empty" })
    assert.equal(0, result.code)
    assert.matches("1 vmess", result.err)
    result = with_files({ a = "" }, { "export", "--from", "a", "-o", "x", "-f", "gost",
      "--allow-empty" })
    assert.equal(12, result.code)
  end)
end)

describe("the format of a file", function()
  local list = { a = "socks5://bob:s3c@10.1.2.3:1080\n" }

  it("follows from its name", function()
    for name, start in pairs{ ["x.json"] = "[\n{", ["x.csv"] = "host,port", ["x.txt"] = "socks5://",
      x = "socks5://", ["x.list"] = "socks5://" } do
      local result, home = with_files(list, { "export", "--from", "a", "-o", name })
      assert.equal(0, result.code, result.err)
      assert.equal(start, program.read(home .. "/" .. name):sub(1, #start))
    end
  end)

  it("must be given where several programs have such files", function()
    for name, format in pairs{ ["x.yaml"] = "clash", ["x.conf"] = "squid", ["x.yml"] = "clash",
      ["x.txt.gz"] = "compress", ["x.XLSX"] = ".csv" } do
      for _, command in ipairs{ "export", "check" } do
        local result = with_files(list, { command, "--from", "a", "-o", name })
        assert.equal(2, result.code)
        assert.matches(format, result.err)
        assert.is_nil(result.err:find("of 1 work", 1, true))
      end
    end
  end)
end)

describe("orders", function()
  it("that fail are reported, the others go on, and a file stays as it was", function()
    local path = program.write(sandbox.home .. "/kept.txt", "before")
    for _, words in ipairs{ { "export" }, { "check", "--url", sandbox.trace_url } } do
      table.move({ isp, "ord_none", mobile, "-o", path }, 1, 5, #words + 1, words)
      local result = sandbox:run(words)
      assert.same({ 3, "before" }, { result.code, program.read(path) })
      assert.matches("order ord_none: ", result.err, 1, true)
      words[#words + 1] = "--skip-bad"
      result = sandbox:run(words)
      assert.equal(0, result.code, result.err)
      assert.equal(5, select(2, program.read(path):gsub("\n", "")))
      program.write(path, "before")
    end
    assert.equal(5, select(2, run(isp, "ord_none", mobile).out:gsub("\n", "")))
  end)

  it("are checked as soon as their proxies arrive", function()
    local code = [[
      local core = require "proxylua.core"
      local source = require "proxylua.cli.args.proxy_source"
      local px = require "proxylua"
      local asked, most = 0, 0
      px.orders.proxies = function(id)
        asked = asked + 1
        return { { host = "10.0.0.1", port = 1, order_id = id } }
      end
      local ids = {}
      for at = 1, 200 do ids[at] = "ord_" .. at end
      local count = 0
      for proxy in source.of({ orders = ids }, { note = print }) do
        count = count + 1
        assert(proxy.order_id == "ord_" .. count)
        most = math.max(most, asked - count)
      end
      print(count, most <= 8)]]
    assert.equal("200\ttrue\n", sandbox:run{ "-e", code }.out)
  end)
end)
