-- The README promises nothing that was not tried: its code runs, and its tables say what the
-- program's own tables say.

local config = require "proxylua.settings"
local core = require "proxylua.core"
local program = require "spec.support.program"
local servers = require "spec.support.server"

local text = program.read("README.md")

local function blocks(language)
  local found = {}
  for block in text:gmatch("```" .. language .. "\n(.-)```") do found[#found + 1] = block end
  return found
end

describe("the README", function()
  local sandbox, folder, env

  before_each(function()
    sandbox = core.sandbox.start{ limits = "off" }
    folder = program.folder()
    env = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_LIMITS = "off" }
  end)

  after_each(function()
    core.sandbox.stop()
    program.remove(folder)
  end)

  it("is short", function()
    assert.is_true(select(2, text:gsub("\n", "")) <= 440)
  end)

  it("has scripts that run", function()
    local count = 0
    for _, block in ipairs(blocks("lua")) do
      if not block:find("^return") then
        local path = program.write(folder .. "/script.lua", block)
        local result = program.run({ "--spend", "200", path }, { env = env })
        assert.are.equal("", result.err)
        assert.are.equal(0, result.code)
        count = count + 1
      end
    end
    assert.is_true(count >= 4)
  end)

  it("says what its scripts print", function()
    for _, block in ipairs(blocks("lua")) do
      local line, expected = block:match("(%S[^\n]*)%-%-> ([^\n]+)")
      if line then
        local path = program.write(folder .. "/script.lua", block)
        local result = program.run({ path }, { env = env })
        assert.are.equal(expected, (result.out:gsub("\t", "  "):gsub("\n$", "")), line)
      end
    end
  end)

  it("has a configuration that is taken", function()
    for _, block in ipairs(blocks("lua")) do
      if block:find("^return") then
        env.PROXYLUA_CONFIG = program.write(folder .. "/config.lua", block)
        for _, arguments in ipairs{ { "-e", "" }, { "--profile", "trial", "-e", "" } } do
          local result = program.run(arguments, { env = env })
          assert.are.equal("", result.err)
          assert.are.equal(0, result.code)
        end
      end
    end
  end)

  local function is_target(name)
    return program.read("Makefile"):find("\n" .. name .. ":[^\n]*##") ~= nil
  end

  it("has commands that run, and names targets that there are", function()
    for target in text:gmatch("%f[%w]make ([%w-]+)") do
      if target ~= "and" then assert.is_true(is_target(target), target) end
    end
    assert(os.execute(("ln -s %s %s/proxylua"):format(program.quote(program.path), folder)))
    local bought = program.run({ "--json", "--spend", "20", "orders", "create", "--type", "isp",
      "--quantity", "1" },
      { env = env })
    env.ID = core.json.decode(bought.out).id
    env.PATH = folder .. ":/usr/bin:/bin"
    program.write(folder .. "/restock.lua", blocks("lua")[1])
    for _, block in ipairs(blocks("lua")) do
      local name = block:match("^%-%- (fleet%.lua)\n")
      if name then program.write(folder .. "/" .. name, block) end
    end
    for _, block in ipairs(blocks("sh")) do
      if not block:find("^make") then
        local shell = { "sh", "-eu", "-c", block }
        local result = program.run(shell, { env = env, home = folder, cwd = folder,
          program = "env" })
        assert.are.equal(0, result.code, block .. result.err)
      end
    end
    assert.are.equal("file", core.system.kind(folder .. "/proxies.csv"))
  end)

  -- The values of a field of a crontab, such as */10 or 1,15-20.
  local function is_field(field, least, most)
    for part in (field .. ","):gmatch("([^,]*),") do
      local first, last = part:match("^(%d+)%-?(%d*)$")
      local step = part:match("^%*/(%d+)$")
      if part ~= "*" and not step and not first then return false end
      if step and (tonumber(step) < 1 or tonumber(step) > most) then return false end
      if first and (tonumber(first) < least or tonumber(last ~= "" and last or first) > most) then
        return false
      end
    end
    return true
  end

  it("has lines for cron that work as they are", function()
    local receiver = servers.start{ ["/services/T00/B00/XXXX"] = servers.ok("ok") }
    local count = 0
    assert(os.execute(("ln -sf %s %s/proxylua"):format(program.quote(program.path), folder)))
    for _, block in ipairs(blocks("crontab")) do
      local cron = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key }
      for line in block:gmatch("[^\n]+") do
        local name, value = line:match("^([%a_]+)=(.*)$")
        if name then
          cron[name] = name == "PATH" and folder .. ":" .. value or value:gsub("^https://[^/]+",
            receiver.url)
        else
          local m, h, day, month, week,
            command = line:match("^(%S+) (%S+) (%S+) (%S+) (%S+) ([^%%]+)$")
          assert.is_true(is_field(m, 0, 59) and is_field(h, 0, 23) and is_field(day, 1, 31)
            and is_field(month, 1, 12)
            and is_field(week, 0, 7), line)
          local low = { home = folder, env = cron, program = "/bin/sh" }
          core.http.post(sandbox.admin_url .. "/settings",
            { headers = { ["X-Sandbox-Key"] = sandbox.key },
            json = { balance = "1.00" } })
          for _ = 1, 2 do
            local result = program.run({ "-c", command }, low)
            assert.are.same({ 0, "", "" }, { result.code, result.out, result.err })
          end
          count = count + 1
        end
      end
    end
    assert.is_true(count >= 1)
    assert.are.equal(count, #receiver:requests())
    receiver:stop()
  end)

  it("tells every exit code", function()
    local told = {}
    for code, kinds in text:gmatch("\n| (%d+) | ([^\n]*) |") do
      for kind in kinds:gmatch("`([%w_]+)`") do
        if kind ~= "usage" then told[kind] = tonumber(code) end
      end
    end
    local kinds = { "cancelled", "config", "auth", "forbidden", "not_found", "invalid", "funds",
      "key_reused",
      "upstream", "network", "timeout", "protocol", "rate_limited", "store", "outcome_unknown",
        "spend_refused",
      "internal" }
    for _, kind in ipairs(kinds) do
      assert.are.equal(core.system.exit_code(core.error.new{ kind = kind, message = "x" }),
        told[kind], kind)
    end
  end)

  it("tells every setting, where it comes from and its default", function()
    for _, row in ipairs(config.rows) do
      local line
      for candidate in text:gmatch("\n(|[^\n]*)") do
        if candidate:find("`" .. row[1] .. "`", 1, true) then line = candidate end
      end
      assert.is_string(line, row[1])
      local default = row.default == nil and "" or tostring(row.default)
      for _, part in ipairs{ row.flag and "--" .. row.flag or "", row.env or "", default } do
        assert.is_truthy(line:find(part, 1, true), row[1] .. ": " .. part)
      end
    end
  end)

  it("names folders that there are", function()
    local section = text:match("\n## Working on it\n(.*)")
    local count = 0
    for cell in section:gmatch("\n| (`[^|]+) |") do
      for path in cell:gmatch("`([^`]+)`") do
        assert.are.equal("folder", core.system.kind(path), path)
        count = count + 1
      end
    end
    assert.is_true(count >= 7)
  end)
end)
