-- What `make install` puts in place, and that the manual page and the HTML reference tell all that
-- there is.

local core = require "proxylua.core"
local program = require "spec.support.program"
local reference = require "proxylua.help.reference"

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

describe("make install", function()
  local folder

  before_each(function() folder = program.folder() .. "/a place" end)
  after_each(function() program.remove(folder:match("^(.*)/")) end)

  it("puts program, manual page and completion in place, and uninstall takes exactly these away",
    function()
    run("make", "install", "DESTDIR=" .. folder, "PREFIX=/usr")
    assert.are.equal([[
755 usr/bin/proxylua
644 usr/lib/systemd/user/proxylua-alerts.service
644 usr/lib/systemd/user/proxylua-alerts.timer
644 usr/share/bash-completion/completions/proxylua
644 usr/share/fish/vendor_completions.d/proxylua.fish
644 usr/share/man/man1/proxylua.1
644 usr/share/zsh/site-functions/_proxylua
]], files_below(folder))
    assert.has.match("^proxylua ", run(folder .. "/usr/bin/proxylua", "--version"))
    assert.are.equal(run(folder .. "/usr/bin/proxylua", "completion", "zsh"),
      program.read(folder .. "/usr/share/zsh/site-functions/_proxylua"))
    program.write(folder .. "/usr/bin/other", "")
    program.write(folder .. "/usr/share/man/man1/other.1", "")
    run("make", "uninstall", "DESTDIR=" .. folder, "PREFIX=/usr")
    assert.are.equal("usr/bin/other usr/share/man/man1/other.1 ",
      (files_below(folder):gsub("%d%d%d (%S+)\n", "%1 ")))
  end)

  it("goes to /usr/local unless told otherwise", function()
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
      assert(os.execute(("mkdir -p %s && cp %s/usr/local/lib/systemd/user/* %s"):format(units,
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

describe("the manual page", function()
  local page

  setup(function() page = run(program.path, "tools/man.lua") end)

  local function tells(text)
    assert.is_truthy(page:find(text:gsub("%-", "\\-"), 1, true), text)
  end

  it("has its sections in order, and nothing that a formatter complains of", function()
    local sections = {}
    for title in page:gmatch("\n%.SH ([^\n]+)") do sections[#sections + 1] = title end
    assert.are.same({ "NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "ENVIRONMENT",
      "FILES", "EXIT STATUS",
      "EXAMPLES" }, sections)
    local folder = program.folder()
    program.write(folder .. "/proxylua.1", page)
    assert.are.equal("", (run("mandoc", "-T", "lint", folder .. "/proxylua.1")))
    local shown = run("mandoc", "-T", "utf8", folder .. "/proxylua.1"):gsub(".\8", "")
    assert.has.match("\n +proxylua orders download \"%$ID\" %-%-format csv", shown)
    program.remove(folder)
  end)

  it("tells all commands, options, variables and exit codes", function()
    for _, name in ipairs(require("proxylua.cli.commands").names()) do tells("\\fB" .. name) end
    for _, row in ipairs(core.endpoints()) do
      tells("\\fB" .. row.name:gsub("%.", " "):gsub("_", "-") .. "\\fR")
      for _, param in ipairs(row.params) do
        if param.where ~= "path" then tells("\\fB--" .. param.name:gsub("_", "-") .. "\\fR") end
      end
    end
    for _, row in ipairs(require("proxylua.cli.args.options").rows) do tells("--" .. row[1]) end
    for _, row in ipairs(require("proxylua.settings").rows) do
      if row.env then tells("\\fB" .. row.env .. "\\fR") end
    end
    for _, code in ipairs{ 0, 1, 2, 3, 4, 5, 6, 75, 130 } do
      tells((".TP\n\\fB%d\\fR"):format(code))
    end
  end)
end)

describe("the HTML reference", function()
  it("is made of all entries", function()
    local source = run(program.path, "tools/doc.lua")
    for _, entry in ipairs(reference.all()) do
      local line = ("\n-- @%s %s\n"):format(entry.is_field and "field" or "function", entry.name)
      assert.is_truthy(source:find(line, 1, true), entry.name)
    end
    assert(load(source))
  end)
end)
