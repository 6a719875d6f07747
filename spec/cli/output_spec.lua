-- What commands print: forms, streams in constant memory, and what a server sends that no form can
-- hold.

local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"
local servers = require "spec.support.server"

local COUNT = 20000

-- The state of a sandbox with many transactions.
local function write_state(path)
  local transactions = {}
  for at = 1, COUNT do
    transactions[at] = { id = ("txn_%06d"):format(at), type = "deposit", amount = "1.00",
      created = 1.7e9 + at }
  end
  return program.write(path, core.json.encode{
    format = "proxylua-sandbox", version = 1, seed = "0123456789abcdef", serial = 0, proxies = 0,
      offset = 0,
    balance = "5.00", email = "you@sandbox.example", transactions = transactions,
    orders = core.json.array{}, addresses = core.json.array{},
  })
end

describe("streams", function()
  local folder, sandbox

  setup(function()
    folder = program.folder()
    sandbox = sandboxes.start{ state = write_state(folder .. "/state.json") }
  end)

  teardown(function()
    sandbox:stop()
    program.remove(folder)
  end)

  -- Starts a command; returns a function for its next line, and one for the most memory that it has
  -- used so far (KiB).
  local function start(arguments)
    local env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_LIMITS = "off" }
    -- Freed memory must be reusable for the next record in the instrumented program too.
    if os.getenv("ASAN_OPTIONS") then
      env.ASAN_OPTIONS = os.getenv("ASAN_OPTIONS") .. ":quarantine_size_mb=1"
    end
    local words = program.command(sandbox.home, { "-c", 'echo $$; exec "$0" "$@" 2>/dev/null',
      program.path,
      table.unpack(arguments) }, env, "/bin/sh")
    local pipe = assert(io.popen(words))
    local pid = pipe:read("n", "l")
    return function() return pipe:read("l") end, function()
      return tonumber(program.read(("/proc/%d/status"):format(pid)):match("VmHWM:%s*(%d+)"))
    end, pipe
  end

  -- The last tenth of the lines is more than a pipe holds: the process is there yet when the second
  -- look is taken.
  local function check(form, header)
    local line, memory, pipe = start{ form, "account", "transactions", "--all" }
    local early, count = nil, -header
    for text in line do
      count = count + 1
      if count == COUNT // 10 then early = memory() end
      if count == COUNT * 9 // 10 then
        assert.is_true(memory() - early < 6 * 1024, memory() - early .. " KiB more")
      end
      if form == "--jsonl" then assert.is_string(core.json.decode(text).id) end
    end
    assert.is_true((pipe:close()))
    assert.are.equal(COUNT, count)
  end

  it("print a JSON value a line in constant memory", function() check("--jsonl", 0) end)
  it("print columns in constant memory", function() check("--quiet", 1) end)

  it("print what is there before the next page comes", function()
    local other = program.folder()
    core.sandbox.stop()
    sandbox = sandboxes.start{ state = write_state(other .. "/state.json"),
      faults = { "account.transactions:delay=600,skip=1" } }
    local line, _, pipe = start{ "--jsonl", "account", "transactions", "--all" }
    for _ = 1, 100 do assert.is_string(line()) end
    core.sandbox.stop()
    assert.is_nil(line())
    pipe:close()
    program.remove(other)
  end)
end)

describe("bytes that are not UTF-8", function()
  local server

  after_each(function() server:stop() end)

  local function run(body, ...)
    server = servers.start{ ["/orders"] = servers.ok(body), ["/account"] = servers.ok(body) }
    return program.run({ "--base-url", server.url, ... },
      { env = { PROXYLUA_API_KEY = "sk_test_00000000" } })
  end

  local orders = '[{"id":"a"},{"id":"b","note":"caf\xE9 \xC3\xA9 \xFF"}]'

  it("are escaped in JSON, and a note names the field", function()
    local result = run(orders, "--json", "orders", "list")
    assert.are.equal('[{"id":"a"},{"id":"b","note":"caf\\udce9 é \\udcff"}]\n', result.out)
    assert.has.match("proxylua: %[2%]%.note has bytes that are not UTF%-8", result.err)
    assert.are.equal(0, result.code)
  end)

  it("are escaped in a stream, and noted once", function()
    local result = run('[{"id":"a\xFF"},{"id":"b\xFF"}]', "--jsonl", "orders", "list")
    assert.are.equal('{"id":"a\\udcff"}\n{"id":"b\\udcff"}\n', result.out)
    assert.are.equal(1, select(2, result.err:gsub("UTF", "")))
  end)

  it("pass as they are in columns", function()
    local result = run('{"email":"caf\xE9","balance":"1"}', "account", "get")
    assert.are.equal("email\tbalance\ncaf\xE9\t1.00\n", result.out)
  end)
end)

describe("a table", function()
  local text = core.text
  local lines
  local Screen = getmetatable(require("proxylua.cli.output").open({}, {}))
  local screen = setmetatable({ form = "table", quiet = true }, Screen)

  -- The lines that a stream of so many records becomes, where the output is a terminal 40 columns
  -- wide.
  local function streamed(count, name)
    local at = 0
    lines = {}
    local write, flush = core.system.write, core.system.flush
    core.system.write = function(...)
      for line in table.concat{ ... }:gmatch("(.-)\n") do lines[#lines + 1] = line end
    end
    core.system.flush = function() lines.asked_at_flush = lines.asked_at_flush or at end
    local ok, err = pcall(screen.stream, screen, nil, function()
      at = at + 1
      return at <= count and { code = at, name = name(at) } or nil
    end)
    core.system.write, core.system.flush = write, flush
    assert(ok, err)
  end

  it("is aligned for narrow, wide and combining characters", function()
    streamed(3, function(at) return ({ "東京", "Zürich", "x" })[at] end)
    assert.are.equal(4, #lines)
    assert.are.equal("   1  東京", lines[2])
  end)

  it("cuts by columns", function()
    assert.are.equal(5, text.width(require("proxylua.term.table").aligned({ "a", "b" },
      { { a = 1, b = ("東"):rep(40) } }, 9)[2]:match("%S+$")))
  end)

  it("of many records comes in parts, each once it is there", function()
    streamed(1201, function() return "x" end)
    assert.are.equal(1201 + 3, #lines)
    assert.are.equal(500, lines.asked_at_flush)
    assert.matches("^code", lines[502])
    streamed(500, function() return "x" end)
    assert.are.equal(501, #lines)
  end)
end)

describe("forms", function()
  it("are one of json and jsonl", function()
    local result = program.run{ "--sandbox", "--json", "--jsonl", "account", "get" }
    assert.are.equal(2, result.code)
    assert.has.match("use either %-%-json or %-%-jsonl", result.err)
  end)

  it("print one value each, for a record too", function()
    for _, form in ipairs{ "--json", "--jsonl" } do
      local result = program.run{ "--sandbox", form, "account", "get" }
      assert.is_truthy(core.json.decode(result.out).balance)
      assert.are.equal(1, select(2, result.out:gsub("\n", "")))
    end
    assert.are.equal("", program.run({ "--sandbox", "--jsonl", "orders", "list" }).out)
  end)
end)
