-- What `make install` puts in place, and that the manual pages are complete.

local core = require "proxylua.core"
local program = require "spec.support.program"

local quote = program.quote
local root = core.system.real_path(".")

local function run(path, ...)
  local result = program.run({ ... }, { program = path, cwd = root })
  assert.are.equal(0, result.code, result.err .. result.out)
  return result.out, result.err
end

local function files_below(folder)
  local pipe = assert(io.popen(
    ("cd %s && find . ! -type d -printf '%%m %%P\\n' | sort -k 2"):format(quote(folder))))
  local text = pipe:read("a")
  assert(pipe:close())
  return text
end

-- The lines of the listing for the manual pages: one for the program and one for each command.
local function pages()
  local names = require("proxylua.cli.commands").names(true)
  table.sort(names)
  local lines = {}
  for at, name in ipairs(names) do
    lines[at] = ("644 usr/share/man/man1/proxylua-%s.1\n"):format(name)
  end
  return table.concat(lines) .. "644 usr/share/man/man1/proxylua.1\n"
end

describe("make install", function()
  local folder

  before_each(function() folder = program.folder() .. "/a place" end)
  after_each(function() program.remove(folder:match("^(.*)/")) end)

  it("installs program, manual pages and completion, and uninstall removes exactly these",
    function()
    run("make", "install", "DESTDIR=" .. folder, "PREFIX=/usr")
    assert.are.equal((([[
755 usr/bin/proxylua
644 usr/share/bash-completion/completions/proxylua
644 usr/share/fish/vendor_completions.d/proxylua.fish
PAGES644 usr/share/proxylua/types/proxylua.lua
644 usr/share/systemd/user/proxylua-alerts.service
644 usr/share/systemd/user/proxylua-alerts.timer
644 usr/share/systemd/user/proxylua-gateway.service
644 usr/share/zsh/site-functions/_proxylua
]]):gsub("PAGES", pages())), files_below(folder))
    assert.has.match("^proxylua ", run(folder .. "/usr/bin/proxylua", "--version"))
    assert.are.equal(run(folder .. "/usr/bin/proxylua", "completion", "zsh"),
      program.read(folder .. "/usr/share/zsh/site-functions/_proxylua"))
    program.write(folder .. "/usr/bin/other", "")
    program.write(folder .. "/usr/share/man/man1/other.1", "")
    run("make", "uninstall", "DESTDIR=" .. folder, "PREFIX=/usr")
    assert.are.equal("usr/bin/other usr/share/man/man1/other.1 ",
      (files_below(folder):gsub("%d%d%d (%S+)\n", "%1 ")))
  end)

  it("installs into /usr/local by default", function()
    run("make", "install", "DESTDIR=" .. folder)
    assert.are.equal("file", core.system.kind(folder .. "/usr/local/bin/proxylua"))
  end)
end)

if os.getenv("DEPOSIT_LONG") then
  describe("the timer of the alerts", function()
    it("is one that systemd takes, as it is installed, with the program that it starts", function()
      local folder = program.folder()
      local units = folder .. "/etc/systemd/system/"
      run("make", "install", "DESTDIR=" .. folder)
      assert(os.execute(("mkdir -p %s && cp %s/usr/local/share/systemd/user/* %s"):format(units,
        folder, units)))
      for _, target in ipairs{ "sysinit", "basic", "shutdown", "timers", "time-set",
        "time-sync" } do
        program.write(units .. target .. ".target", "[Unit]\nDescription=" .. target .. "\n")
      end
      local words = { "verify", "--man=no", "--root=" .. folder, "proxylua-alerts.service",
        "proxylua-alerts.timer" }
      local result = program.run(words, { program = "systemd-analyze" })
      assert.are.same({ 0, "", "" }, { result.code, result.out, result.err })
      assert(os.remove(folder .. "/usr/local/bin/proxylua"))
      assert.has.match("proxylua is not executable",
        program.run(words, { program = "systemd-analyze" }).err)
      program.remove(folder)
    end)
  end)
end

describe("the manual pages", function()
  local folder, page

  setup(function()
    folder = program.folder()
    run(program.path, "tools/man.lua", folder)
    page = program.read(folder .. "/proxylua.1")
  end)

  teardown(function() program.remove(folder) end)

  local function shown(name)
    return (run("mandoc", "-T", "utf8", ("%s/%s.1"):format(folder, name)):gsub(".\8", ""))
  end

  it("have nothing that a formatter complains about", function()
    local pipe = assert(io.popen("ls " .. quote(folder)))
    for file in pipe:lines() do
      assert.are.equal("", (run("mandoc", "-T", "lint", folder .. "/" .. file)))
    end
    assert(pipe:close())
  end)

  it("begin with the sections that readers expect", function()
    local sections = {}
    for title in page:gmatch("\n%.SH ([^\n]+)") do sections[#sections + 1] = title end
    assert.are.same({ "NAME", "SYNOPSIS", "DESCRIPTION", "MONEY", "LIMITS", "SHELL", "COMMANDS",
      "OPTIONS", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES" }, sections)
  end)

  it("have all commands, options, variables and exit codes", function()
    local function has(text)
      assert.is_truthy(page:find(text:gsub("%-", "\\-"), 1, true), text)
    end
    for _, name in ipairs(require("proxylua.cli.commands").names(true)) do
      has("\\fBproxylua-" .. name .. "(1)")
    end
    for _, row in ipairs(require("proxylua.cli.args.options").rows) do has("--" .. row[1]) end
    for _, row in ipairs(require("proxylua.settings").rows) do
      if row.env then has("\\fB" .. row.env .. "\\fR") end
    end
    for _, code in ipairs{ 0, 1, 2, 3, 4, 5, 6, 75, 130 } do
      has((".TP\n\\fB%d\\fR"):format(code))
    end
  end)

  it("have the parameters of each endpoint", function()
    for _, row in ipairs(core.endpoints()) do
      local group, name = row.name:match("^(.-)%.(.+)$")
      local text = program.read(("%s/proxylua-%s.1"):format(folder, group))
      assert.is_truthy(text:find("proxylua " .. group .. " " .. name:gsub("_", "\\-"), 1, true))
      for _, param in ipairs(row.params) do
        local option = "--" .. param.name:gsub("_", "-")
        if param.where ~= "path" then
          assert.is_truthy(text:find((option:gsub("%-", "\\-")), 1, true), option)
        end
      end
    end
  end)

  it("show the text of docs/help and the examples of a command", function()
    local text = shown("proxylua-journal"):gsub("%s+", " ")
    assert.has.match("do not order again in another way", text)
    assert.has.match("EXAMPLES proxylua journal list %-%-state open", text)
  end)
end)
