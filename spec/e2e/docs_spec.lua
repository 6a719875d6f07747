-- The documentation shows nothing that was not tried: the examples of README.md and docs/ run, the
-- output that they show is the program's, and their tables agree with the program's own.

local core = require "proxylua.core"
local pages = require "spec.support.pages"
local postgres = require "spec.support.postgres"
local program = require "spec.support.program"
local servers = require "spec.support.server"
local settings = require "proxylua.settings"

local all = pages.all()
local by_path = {}
for _, page in ipairs(all) do by_path[page.path] = page end

-- "-- fleet.lua" at the top names the file that a block is.
local function name_of(block) return block:match("^%-%- ([%w_/.-]+%.%w+)\n") end

-- Data, specs and the parts of a plugin are files for the commands that follow on the page.
local function is_script(block)
  local name = name_of(block) or ""
  return not (name:find("/", 1, true) or name:find("_spec%.lua$")
    or ("\n" .. block):find("\nreturn"))
end

-- Those that work on this repository or on the machine: they are not run here.
local function is_for_the_machine(block)
  local word = block:match("^%$? ?([%w_-]+)")
  return word == "make" or word == "git" or word == "sudo" or word == "systemctl" or word == "build"
    or word == "PROXYLUA_LUA_DIR"
end

describe("the example", function()
  local sandbox, folder, env, database

  before_each(function()
    sandbox = core.sandbox.start{ limits = "off", seed = 7 }
    folder = program.folder()
    assert(os.execute(("ln -s %s %s/proxylua"):format(program.quote(program.path), folder)))
    assert(os.execute(("ln -s %s %s/scripts"):format(core.system.real_path("scripts"), folder)))
    env = {
      XDG_CONFIG_HOME = folder .. "/.config",
      PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key,
      PROXYLUA_CHECK_URL = sandbox.trace_url, PROXYLUA_LIMITS = "off", PROXYLUA_SETTLE = "1s",
      PATH = folder .. ":/usr/sbin:/usr/bin:/bin", COLUMNS = "100", NO_COLOR = "1",
      LANG = "C.UTF-8",
      XDG_DATA_HOME = folder .. "/data", TERM = "xterm",
    }
  end)

  after_each(function()
    core.sandbox.stop()
    if database then
      database:stop()
      database = nil
    end
    program.remove(folder)
  end)

  local function shell(text)
    return program.run({ "sh", "-eu", "-c", text },
      { env = env, home = folder, cwd = folder, program = "env" })
  end

  local function succeeds(result, block)
    assert.are.equal(0, result.code, block .. result.out .. result.err)
  end

  -- A page may ask for faults of the API, so that it can show what happens then.
  local function inject(text)
    local faults = core.json.array{}
    for fault in text:gmatch("%S+") do faults[#faults + 1] = fault end
    core.http.post(sandbox.admin_url .. "/settings",
      { headers = { ["X-Sandbox-Key"] = sandbox.key }, json = { faults = faults } })
  end

  local run = {}

  function run.lua(block)
    local name = name_of(block)
    if name then
      assert(os.execute("mkdir -p " .. program.quote(folder .. "/" .. name:gsub("[^/]*$", ""))))
    end
    local path = program.write(folder .. "/" .. (name or "script.lua"), block)
    if not is_script(block) then return end
    local result = shell("proxylua --spend 200 " .. program.quote(path))
    succeeds(result, block)
    assert.are.equal("", result.err, block)
    for line, shown in block:gmatch("(%S[^\n]*)%-%-> ([^\n]+)") do
      assert.is_truthy(result.out:gsub("\t", "  "):find(shown, 1, true), line .. result.out)
    end
  end

  function run.sh(block)
    if is_for_the_machine(block) then return end
    succeeds(shell(block), block)
  end

  -- On a terminal, as the reader would see it.
  function run.console(block)
    if is_for_the_machine(block) then return end
    for _, step in ipairs(pages.session(block)) do
      local path = program.write(folder .. "/step.sh", step.command .. "\n")
      local words = ("script -qec %s /dev/null </dev/null"):format(program.quote("sh " .. path))
      local output = shell(words .. " || true").out
      assert.is_true(pages.matches(step.output, output),
        ("%s\nshows\n%s\nbut printed\n%s"):format(step.command, step.output, output))
    end
  end

  for _, page in ipairs(all) do
    it("runs: " .. page.path, function()
      local bought = program.run({ "--json", "--spend", "20", "orders", "create", "--type", "isp",
        "--quantity", "2", "--country", "US" }, { env = env, home = folder })
      env.ID = core.json.decode(bought.out).id
      inject(page.text:match("<!%-%- the sandbox's faults: (.-) %-%->") or "")
      if page.text:find("DATABASE_URL", 1, true) then
        database = postgres.start()
        env.DATABASE_URL = database.url
      end
      for _, block in ipairs(page.blocks) do
        if run[block.language] then run[block.language](block.text) end
      end
    end)
  end

  it("for the config file is accepted, with its profiles", function()
    local count = 0
    for _, page in ipairs(all) do
      for _, block in ipairs(page:code("lua")) do
        if name_of(block) == "config.lua" then
          env.PROXYLUA_CONFIG = program.write(folder .. "/config.lua", block)
          local profiles = (block:match("profiles = {(.*)") or ""):gsub("{[^}]*}", "{}")
          for profile in profiles:gmatch("(%w+) = {") do
            succeeds(shell(("proxylua --profile %s -e ''"):format(profile)), block)
          end
          succeeds(shell("proxylua -e ''"), block)
          count = count + 1
        end
      end
    end
    assert.is_true(count >= 1)
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

  local function check_times(line, times)
    local m, h, day, month, week = times:match("^(%S+) (%S+) (%S+) (%S+) (%S+) $")
    assert.is_true(is_field(m, 0, 59) and is_field(h, 0, 23) and is_field(day, 1, 31)
      and is_field(month, 1, 12) and is_field(week, 0, 7), line)
  end

  it("for cron has times that cron accepts, and commands that run in silence", function()
    local receiver = servers.start{ ["/services/T00/B00/XXXX"] = servers.ok("ok") }
    local count = 0
    for _, page in ipairs(all) do
      for _, block in ipairs(page:code("crontab")) do
        local cron = { PROXYLUA_BASE_URL = sandbox.url, PROXYLUA_API_KEY = sandbox.key }
        for line in block:gmatch("[^\n]+") do
          local name, value = line:match("^([%a_]+)=(.*)$")
          local times, command = line:match("^(%S+ %S+ %S+ %S+ %S+ )([^%%]+)$")
          if name == "PATH" then
            cron.PATH = folder .. ":" .. value
          elseif name then
            cron[name] = value:gsub("^https://[^/]+", receiver.url)
          elseif not line:find("^#") then
            check_times(line, times)
            core.http.post(sandbox.admin_url .. "/settings",
              { headers = { ["X-Sandbox-Key"] = sandbox.key }, json = { balance = "1.00" } })
            for _ = 1, 2 do
              local result = program.run({ "-c", command },
                { home = folder, env = cron, program = "/bin/sh" })
              assert.are.same({ 0, "", "" }, { result.code, result.out, result.err }, command)
            end
            count = count + 1
          end
        end
      end
    end
    assert.is_true(count >= 1)
    assert.is_true(#receiver:requests() >= 1)
    receiver:stop()
  end)
end)

describe("a page", function()
  it("names only targets of make that exist", function()
    for _, page in ipairs(all) do
      for target in page.text:gmatch("%f[%w]make ([%l-]+)") do
        local is_there = program.read("Makefile"):find("\n" .. target:gsub("%-", "%%-")
          .. "[^\n]*:") ~= nil
        assert.is_true(is_there or page:prose():find("%a make " .. target) ~= nil, target)
      end
    end
  end)

  it("links only to files and headings that exist", function()
    for _, page in ipairs(all) do
      for _, link in ipairs(page:links()) do
        if not link:find("^%a+:") then
          local file, anchor = link:match("^([^#]*)#?(.*)$")
          local path = (page.path:match("^(.*/)") or "") .. file
          path = path:gsub("docs/%.%./", "")
          if file == "" then path = page.path end
          assert.is_truthy(core.system.kind(path), page.path .. ": " .. link)
          if anchor ~= "" then
            assert.is_true(pages.read(path):anchors()[anchor], page.path .. ": " .. link)
          end
        end
      end
    end
  end)

  it("can be reached from the index, unless it is README.md", function()
    local links = {}
    for _, link in ipairs(by_path["docs/index.md"]:links()) do links["docs/" .. link] = true end
    for _, page in ipairs(all) do
      local is_top = page.path:find("^%u+%.md$") or page.path == "docs/index.md"
      assert.is_truthy(is_top or links[page.path], page.path)
    end
  end)

  it("shows a picture that a new run does not change", function()
    local result = program.run({ "tools/demo.lua", "--check", "docs/demo.svg" },
      { cwd = core.system.real_path(".") })
    assert.are.same({ 0, "" }, { result.code, result.err })
  end)

  it("is short, if it is README.md", function()
    assert.is_true(select(2, by_path["README.md"].text:gsub("\n", "")) <= 150)
  end)
end)

describe("tools/check_words.lua", function()
  it("finds words of its list, but not in code", function()
    local folder, root = program.folder(), core.system.real_path(".")
    local function check(text)
      local path = program.write(folder .. "/page.md", text)
      return program.run({ "tools/check_words.lua", "--only", path }, { cwd = root })
    end
    assert.are.same({ 0, "" }, { check("`tell` is code:\n\n```lua\ntell()\n```\n").code, "" })
    local result = check("One line.\nThe API answers.\n")
    assert.are.equal(1, result.code)
    assert.has.match('page.md:2: "answers"; write: returns', result.err)
    program.remove(folder)
  end)

  it("finds words in comments and messages, but not in names", function()
    local folder, root = program.folder(), core.system.real_path(".")
    local function check(name, text)
      local path = program.write(folder .. "/" .. name, text)
      return program.run({ "tools/check_words.lua", "--only", path }, { cwd = root })
    end
    local clean = check("clean.lua", 'local tell = { "tell", [[told]] } -- `tells`, a.told\n'
      .. "--- @usage tell()\n")
    assert.are.same({ 0, "" }, { clean.code, clean.err })
    local lua = check("bad.lua", 'x = "it tells" -- what is\n  -- no order\ny = [[is told]]\n')
    assert.has.match('bad.lua:1: "tells"', lua.err)
    assert.has.match('bad.lua:1: "what is no"', lua.err)
    assert.has.match('bad.lua:3: "told"', lua.err)
    local c = check("bad.c", 'f("\\" is told"); /* it is\n * told */ tell();\n')
    assert.has.match('bad.c:1: "told"', c.err)
    assert.has.match('bad.c:2: "told"', c.err)
    assert.is_nil(c.err:find('"tell"', 1, true))
    program.remove(folder)
  end)

  it("finds words in comments and titles of specs, but not in their strings", function()
    local folder, root = program.folder(), core.system.real_path(".")
    local path = program.write(folder .. "/x_spec.lua", [[
      describe("nobody", function()
        it("prints a line, " -- whoever
          .. "which tells it", function() check("is told", await("the answers")) end)
        it(("returns whatever is %s"):format("told by us"), function() end)
      end)
      describe("a wait amiss", function() end)
    ]])
    local found = {}
    local result = program.run({ "tools/check_words.lua", "--only", path }, { cwd = root })
    for line, word in result.err:gmatch('x_spec.lua:(%d+): "(.-)"') do
      found[#found + 1] = line .. " " .. word
    end
    table.sort(found)
    assert.are.same({ "2 whoever", "3 tells", "4 whatever", "6 amiss" }, found)
    program.remove(folder)
  end)
end)

describe("the table", function()
  it("of exit codes has every kind of error", function()
    local shown = {}
    for _, row in ipairs(by_path["docs/troubleshooting.md"]:rows("Exit codes")) do
      for kind in row[2]:gmatch("`([%w_]+)`") do shown[kind] = tonumber(row[1]) end
    end
    for _, kind in ipairs{ "cancelled", "config", "auth", "forbidden", "not_found", "invalid",
      "funds", "key_reused", "upstream", "network", "timeout", "protocol", "rate_limited", "store",
      "outcome_unknown", "spend_refused", "internal" } do
      assert.are.equal(core.system.exit_code(core.error.new{ kind = kind, message = "x" }),
        shown[kind], kind)
    end
  end)

  it("of settings has every setting, its sources and its default", function()
    local rows = {}
    for _, row in ipairs(by_path["docs/configuration.md"]:rows("Settings")) do
      for name in row[1]:gmatch("`([^`]+)`") do rows[name] = table.concat(row, " ") end
    end
    for _, row in ipairs(settings.rows) do
      local shown = rows[row[1]]
      assert.is_string(shown, row[1])
      local default = row.default == nil and "" or tostring(row.default)
      for _, part in ipairs{ row.flag and "--" .. row.flag or "", row.env or "", default } do
        assert.is_truthy(shown:find(part, 1, true), row[1] .. ": " .. part)
      end
    end
  end)

  it("of formats has every format", function()
    local names = {}
    for _, row in ipairs(by_path["docs/formats.md"]:rows("Formats")) do
      names[#names + 1] = row[1]:match("`([^`]+)`")
    end
    local known = {}
    for at, row in ipairs(require("proxylua.formats").list()) do known[at] = row.name end
    table.sort(names)
    table.sort(known)
    assert.are.same(known, names)
  end)

  it("of formats is right about what is written and read", function()
    local px = require "proxylua"
    local folder = program.folder()
    for _, row in ipairs(by_path["docs/formats.md"]:rows("Formats")) do
      assert.are.same({ "yes", "yes" }, { row[3], row[4] })
      local path = folder .. "/proxies"
      px.export.file({ "http://me:secret@10.0.0.1:80" }, path, { format = row[1]:match("`(.-)`") })
      assert.are.equal("http://me:secret@10.0.0.1:80", px.proxies.each(path)().url, row[1])
    end
    program.remove(folder)
  end)

  it("of folders has every folder of the sources", function()
    local shown = {}
    for _, heading in ipairs{ "Folders of src", "Folders of lua/proxylua" } do
      for _, row in ipairs(by_path["docs/architecture.md"]:rows(heading)) do
        for path in row[1]:gmatch("`([^`]+)`") do
          assert.is_truthy(core.system.kind(path:gsub("/$", "")), path)
          shown[path:gsub("/$", "")] = true
        end
      end
    end
    local pipe = assert(io.popen("find src lua/proxylua -mindepth 1 -maxdepth 1 -type d"))
    for path in pipe:lines() do assert.is_true(shown[path] or false, path) end
    assert(pipe:close())
  end)
end)
