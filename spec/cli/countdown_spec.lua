-- src/bind/repl/countdown.c: on a real terminal (util-linux' script), what is seen while the
-- program waits and what stays.

local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local WAIT = "general=1/2.3" -- the second request waits for 2.3 s
local TWICE = "local px = require 'proxylua' px.account.get() px.account.get() "

-- What a terminal shows in the end: it knows the sequences of countdown.c, and anything else as
-- text.
local function screen(text)
  local lines, row, column, kept = { "" }, 1, 1, { 1, 1 }
  local function put(char)
    local line = lines[row] .. (" "):rep(column - 1 - #lines[row])
    lines[row], column = line:sub(1, column - 1) .. char .. line:sub(column + 1), column + 1
  end
  local at = 1
  while at <= #text do
    local sequence = text:match("^\27[78]", at) or text:match("^\27%[[%d?]*%a", at)
      or text:sub(at, at)
    at = at + #sequence
    if sequence == "\0277" then kept = { row, column }
    elseif sequence == "\0278" then row, column = kept[1], kept[2]
    elseif sequence == "\27[K" then lines[row] = lines[row]:sub(1, column - 1)
    elseif sequence == "\r" then column = 1
    elseif sequence == "\n" then
      row = row + 1
      lines[row] = lines[row] or ""
    elseif not sequence:find("^\27") then put(sequence)
    end
  end
  return table.concat(lines, "\n")
end

describe("A wait for the limits", function()
  local sandbox
  before_each(function() sandbox = sandboxes.start() end)
  after_each(function() sandbox:stop() end)

  local started = 0

  -- Starts the program on a terminal of its own, with a store of its own.
  local function start(code, flags, env)
    started = started + 1
    local home = ("%s/%d"):format(sandbox.home, started)
    assert(os.execute("mkdir " .. home))
    local all = { TERM = "xterm", PROXYLUA_LIMITS = WAIT, PROXYLUA_BASE_URL = sandbox.url,
      PROXYLUA_API_KEY = sandbox.key }
    for name, value in pairs(env or {}) do all[name] = value end
    local arguments = table.move(flags or {}, 1, #(flags or {}), 1, {})
    table.move({ "-e", code }, 1, 2, #arguments + 1, arguments)
    return assert(io.popen(("script -qec %s /dev/null </dev/null"):format(
      program.quote(program.command(home, arguments, all)))))
  end

  local function finish(pipe)
    local text = pipe:read("a"):gsub("\r\n", "\n\r")
    pipe:close()
    return screen(text), text
  end

  it("is counted down second by second, and leaves no trace", function()
    local shown, text = finish(start(TWICE .. "print 'done'"))
    assert.equal("done\n", shown)
    for seconds = 3, 1, -1 do
      assert.equal(1, select(2, text:gsub(("waiting for the general limit, %d s"):format(seconds),
        "")), text)
    end
  end)

  it("does not mix with output of the script, of proxylua or of another program", function()
    local shown, text = finish(start([[
      local px = require "proxylua"
      io.write "half a line"
      local function later(seconds, fn) px.spawn(function() px.sleep(seconds) fn() end) end
      later(0.3, function() io.write ", its end\n" end)
      later(0.6, function() io.stderr:write "an error\n" end)
      later(0.9, function() os.execute "echo another program" end)
      later(1.2, function() table.sort({ 2, 1 }, function(a, b) px.sleep(0.2) io.write "." return a < b end) end)
      px.account.get() px.account.get()
      print " done"]], { "--verbose" }))
    assert.matches("waiting for the general limit, 2 s", text, 1, true)
    assert.equal("half a line", shown:match("^half a line"))
    local rest = shown:gsub("proxylua: limit general: waiting for a slot, 2%.%d s\n", "", 1)
    assert.matches("^half a line, its end\nan error\nanother program\n%.+ done\n$", rest)
  end)

  it("is not counted down when it is short, with --quiet, on a terminal that cannot, or beside a "
    .. "terminal", function()
    local runs = {
      start(TWICE .. "print 'done'", nil, { PROXYLUA_LIMITS = "general=1/1.9" }),
      start(TWICE .. "print 'done'", { "--quiet" }),
      start(TWICE .. "print 'done'", nil, { TERM = "dumb" }),
    }
    for number, pipe in ipairs(runs) do
      local _, text = finish(pipe)
      assert.equal("done\n\r", text, number)
    end
    local result = sandbox:run({ "-e", TWICE },
      { env = { TERM = "xterm", PROXYLUA_LIMITS = WAIT } })
    assert.same({ 0, "", "" }, { result.code, result.out, result.err })
  end)

  it("is counted down too when the API has asked for it, and taken away when it is given up",
    function()
    sandbox:change("settings", { faults = { "account.get:status=429,retry_after=3" } })
    local config = program.write(sandbox.home .. "/config.lua", "return { max_wait = '5s' }")
    local shown, text = finish(start([[
      local px = require "proxylua"
      px.try(px.timeout, 1.5, px.account.get)
      print "given up"]], nil, { PROXYLUA_CONFIG = config, PROXYLUA_LIMITS = "general=60/60" }))
    assert.equal("given up\n", shown)
    assert.matches("the API has paused the general limit, 2 s", text, 1, true)
  end)
end)
