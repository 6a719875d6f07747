-- src/base/trust.c: files that proxylua believes, in folders that others can change.

local program = require "spec.support.program"

-- Each with the path of its file below the home, and what a run with it needs.
local believed = {
  ["the config file"] = { file = "config/proxylua/config.lua" },
  ["the file of saved settings"] = { file = "config/proxylua/config.set.lua" },
  ["the list of plugins"] = { file = "data/proxylua/plugins/lock.json",
    arguments = { "plugin", "list" } },
  ["a lock"] = { file = "state/proxylua/locks/one", arguments = { "--lock", "one", "-e", "" } },
  ["a trace"] = { file = "traces/of/this", arguments = { "--trace", "traces/of/this", "account",
    "get" } },
  ["the store"] = { file = "stores/of/mine", arguments = { "--store", "stores/of/mine", "limits" },
    code = 4 },
}

local texts = { ["config.lua"] = "return {}", ["config.set.lua"] = "return {}",
  ["lock.json"] = '{"plugins":{}}' }

describe("a folder that others can change", function()
  local home
  before_each(function() home = program.folder() end)
  after_each(function() program.remove(home) end)

  local function sh(command, ...)
    return os.execute(("cd %s && "):format(program.quote(home)) .. command:format(...))
  end

  local function lay(file)
    local folder, name = file:match("^(.*)/([^/]+)$")
    assert(sh("mkdir -p %s", folder))
    if texts[name] then program.write(home .. "/" .. file, texts[name]) end
  end

  -- Runs in the home, with its folders in the home.
  local function run(thing, before, path)
    local list = { "--sandbox" }
    table.move(thing.arguments or { "-e", "" }, 1, 2 ^ 7, 2, list)
    if thing.code then list[1] = "--base-url=http://127.0.0.1:1" end
    local command = program.command(home, list, { PROXYLUA_API_KEY = "sk_live_0123456789",
      XDG_CONFIG_HOME = home .. "/config", XDG_DATA_HOME = home .. "/data",
      XDG_STATE_HOME = home .. "/state" }, path)
    local pipe = io.popen(("cd %s && %s %s 2>&1 >/dev/null </dev/null"):format(program.quote(home),
      before or "", command))
    local text = pipe:read("a")
    local _, _, code = pipe:close()
    return code, text
  end

  local function assert_refused(thing, expected)
    local code, text = run(thing)
    assert.equal(thing.code or 2, code, text)
    assert.matches(expected, text, 1, true)
  end

  for name, thing in pairs(believed) do
    it("is refused above " .. name .. ", also where a link leads, with what mends it", function()
      lay(thing.file)
      assert.same({ 0, "" }, { run(thing) })
      local parts = ""
      for part in thing.file:gmatch("([^/]+)/") do
        parts = parts .. part
        assert(sh("chmod o+w %s", parts))
        assert_refused(thing, "can be changed by others")
        assert_refused(thing, ("run chmod go-w %s/%s\n"):format(home, parts))
        assert(sh("chmod +t %s", parts)) -- as /tmp
        assert.same({ 0, "" }, { run(thing) })
        assert(sh("chmod 755 %s", parts))
        parts = parts .. "/"
      end
      local first = thing.file:match("^[^/]+")
      assert(sh("mkdir open && mv %s open && ln -s open/%s . && chmod 777 open", first, first))
      assert_refused(thing, ("run chmod go-w %s/open\n"):format(home))
    end)

    it("is refused above " .. name .. " if only a group can change it, unless it is one's own",
      function()
        lay(thing.file)
        assert(sh("chmod 775 $(dirname %s)", thing.file))
        local pipe = io.popen("id -un; id -gn; stat -c %G " .. home)
        local user, group, owner = pipe:read("l", "l", "l")
        pipe:close()
        if user == group and group == owner then assert.same({ 0, "" }, { run(thing) }) end
        if not sh("chgrp 54321 $(dirname %s) 2>/dev/null", thing.file) then
          return pending("only root can give a folder to another group")
        end
        assert_refused(thing, "can be changed by its group")
        assert(sh("chown 54321 $(dirname %s); chmod 755 $(dirname %s)", thing.file, thing.file))
        assert_refused(thing, "belongs to another user")
      end)
  end

  it("is refused for a user without a name, whose groups are not private", function()
    local thing = { file = "config/proxylua/config.lua" }
    lay(thing.file)
    if not sh("chown -R 54321:54321 . && cp %s proxylua && chmod 755 . proxylua",
      program.quote(program.path)) then
      return pending("only root can run a program as another user")
    end
    local other = "setpriv --reuid=54321 --regid=54321 --clear-groups "
    local path = home .. "/proxylua"
    assert.equal(0, (run(thing, other, path)))
    assert(sh("chmod g+w config"))
    local code, text = run(thing, other, path)
    assert.equal(2, code)
    assert.matches("run chmod go-w " .. home .. "/config\n", text, 1, true)
  end)
end)
