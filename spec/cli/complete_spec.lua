-- Completion: what the program offers, and the same through Tab in the real shells.

local completer = require "proxylua.cli.args.complete"
local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local quote = program.quote

local function offered(...)
  local found, list = completer.complete{ ... }, {}
  for at, item in ipairs(found) do list[at] = item.text end
  return list, found.files == true
end

local function offers(text, ...)
  for _, item in ipairs((offered(...))) do
    if item == text then return true end
  end
  return false
end

describe("completion", function()
  it("knows all commands and sub-commands, and their options", function()
    local names = require("proxylua.cli.commands").names()
    assert.are.same(names, (offered("")))
    for _, row in ipairs(core.endpoints()) do
      local group, name = row.name:match("^(.-)%.(.+)$")
      name = name:gsub("_", "-")
      assert.is_true(offers(name, group, ""), row.name)
      for _, param in ipairs(row.params) do
        local option = "--" .. param.name:gsub("_", "-")
        assert.are.equal(param.where ~= "path", offers(option, group, name, "--"), row.name .. " "
          .. option)
        if param.values and param.where ~= "path" then
          assert.are.same(param.values, (offered(group, name, option, "")))
          local glued = option .. "=" .. param.values[1]
          assert.are.same({ glued }, (offered(group, name, glued)))
        end
      end
    end
  end)

  it("offers the options of everywhere before and after a command, and those of scripts before it "
    .. "alone", function()
    assert.are.same({ "--sandbox" }, (offered("--sand")))
    assert.are.same({ "--sandbox" }, (offered("orders", "list", "--sand")))
    assert.are.same({ "--execute" }, (offered("--exec")))
    assert.are.same({}, (offered("orders", "list", "--exec")))
    assert.are.same({ "active" }, (offered("--json", "--spend", "25", "orders", "list", "--type",
      "isp", "--status",
      "a")))
    for _, item in ipairs(completer.complete{ "orders", "list", "--" }) do
      assert.is_string(item.summary, item.text)
    end
  end)

  it("offers orders, pools and countries that the store knows", function()
    local sandbox = sandboxes.start()
    finally(function() sandbox:stop() end)
    sandbox:eval[[
      px.fleet.apply{ { name = "us-isp", type = "isp", country = "US", quantity = 1, period = 30 } }
      px.orders.create{ type = "isp", country = "DE", quantity = 1, period = 30 }
    ]]
    local ids = sandbox:eval[[
      local ids = {}
      for order in px.orders.each() do ids[#ids + 1] = order.id end
      return ids
    ]]
    local before = sandbox:look("counters").requests
    local function words(...)
      local result = sandbox:run{ "completion", "words", "--", ... }
      assert.equal(0, result.code, result.err)
      local list = {}
      for line in result.out:gmatch("\n([^\n\t]+)") do list[#list + 1] = line end
      table.sort(list)
      return list
    end
    table.sort(ids)
    assert.are.same(ids, words("orders", "get", ""))
    assert.are.same(ids, words("fleet", "release", ""))
    assert.are.same(ids, words("export", ""))
    assert.are.same({ "us-isp" }, words("fleet", "adopt", ""))
    assert.are.same({ "us-isp" }, words("renew", "--pool", ""))
    assert.are.same({ "DE", "US" }, words("orders", "calc", "--country", ""))
    assert.are.same(before, sandbox:look("counters").requests)
  end)

  it("offers files where a script, its arguments or a file may stand", function()
    assert.is_true(select(2, offered("")))
    assert.is_true(select(2, offered("restock.lua", "")))
    assert.is_true(select(2, offered("restock.lua", "--x")))
    assert.is_true(select(2, offered("orders", "download", "ord_1", "-o", "")))
    assert.is_true(select(2, offered("--trace", "")))
    assert.is_false(select(2, offered("orders", "list", "--status", "")))
    assert.is_false(select(2, offered("orders", "get", "")))
  end)

  it("knows the topics of help, the paths of api, the states of the journal", function()
    assert.is_true(offers("errors", "help", ""))
    assert.is_true(offers("px.orders.create", "help", "px.orders."))
    assert.is_true(offers("create", "help", "orders", "cr"))
    assert.are.same({ "/account", "/account/transactions" }, (offered("api", "GET", "/acc")))
    assert.are.same({ "placed" }, (offered("journal", "settle", "k", "pl")))
  end)

  it("knows the keys of the journal and the profiles of the config, and makes no store for that",
    function()
    local sandbox = sandboxes.start()
    local function words(...)
      local result = sandbox:run{ "completion", "words", "--", ... }
      assert.are.equal("", result.err)
      return result.out
    end
    assert.are.equal("words\n", words("journal", "show", ""))
    assert.is_nil(core.system.kind(sandbox.home .. "/state/proxylua/state.db"))
    sandbox:eval(
      'px.orders.create{ type = "isp", quantity = 1, country = "US", key = "restock-48" }')
    assert.are.equal("words\nrestock-48\n", words("journal", "show", "re"))
    assert.are.equal("words\n", words("journal", "settle", "re"))
    core.system.make_folder(sandbox.home .. "/config/proxylua")
    program.write(sandbox.home .. "/config/proxylua/config.lua",
      "return { profiles = { trial = {}, live = {} } }")
    assert.are.equal("words\nlive\ntrial\n", words("--profile", ""))
    sandbox:stop()
  end)

  it("refuses other shells", function()
    local result = program.run{ "completion", "tcsh" }
    assert.are.equal(2, result.code)
    assert.has.match("bash, zsh and fish", result.err)
  end)
end)

-- Keys typed into a shell with a terminal of its own; ^X writes its line to a file and ends it.
describe("the Tab key in", function()
  local home

  before_each(function()
    home = program.folder()
    assert(os.execute(("ln -s %s %s/proxylua"):format(quote(program.path), quote(home))))
    program.write(home .. "/some file.lua", "")
  end)

  after_each(function() program.remove(home) end)

  local function type_into(shell, setup, keys)
    program.write(home .. "/keys", ("cd %s\n%s\n%s\24"):format(quote(home), setup, keys))
    local env = { PATH = home .. ":/usr/bin:/bin", TERM = "vt100", HISTFILE = "/dev/null" }
    local line = program.command(home, { "-qec", shell, "/dev/null" }, env, "/usr/bin/script")
    assert(os.execute(("cd %s && timeout 60 %s <keys >screen 2>&1"):format(quote(home), line)))
    return program.read(home .. "/line")
  end

  local shells = {
    bash = function(keys)
      return type_into("bash --norc --noprofile -i", [[bind -x '"\C-x": printf %s "$READLINE_LINE" >line; exit'
source <(proxylua completion bash)]], keys)
    end,
    zsh = function(keys)
      return type_into("zsh -f -i", [[show() { print -rn -- "$BUFFER" >line; exit }
zle -N show; bindkey -r '^X'; bindkey '^X' show; source <(proxylua completion zsh)]], keys)
    end,
  }

  for name, typed in pairs(shells) do
    it(name .. " completes commands, options, values and files", function()
      assert.are.equal("proxylua orders extend --period ", typed("proxylua ord\tex\t--per\t"))
      assert.are.equal("proxylua --sandbox orders list --status active ",
        typed("proxylua --sand\torders list --status ac\t"))
      assert.are.equal("proxylua orders list --status=expired ",
        typed("proxylua orders list --status=ex\t"))
      assert.are.equal("proxylua some\\ file.lua ", typed("proxylua som\t"))
      assert.are.equal("proxylua orders list --st", typed("proxylua orders list --st\t"))
    end)
  end

  it("fish completes commands, options, values and files", function()
    local function completed(line)
      local script = ("cd %s; proxylua completion fish | source; complete -C %s"):format(
        quote(home), quote(line))
      local result = program.run({ "--no-config", "-c", script }, { program = "/usr/bin/fish",
        env = { PATH = home .. ":/usr/bin:/bin" } })
      return result.out
    end
    assert.are.equal("extend\textend an active order; charges the balance\n",
      completed("proxylua orders ex"))
    assert.has.match("^%-%-period\t", completed("proxylua orders extend --per"))
    assert.are.equal("active\n", completed("proxylua orders list --status ac"))
    assert.are.equal("--status=expired\n", completed("proxylua orders list --status=ex"))
    assert.has.match("^some file.lua", completed("proxylua som"))
    assert.has.match("^orders\t", completed("proxylua ord"))
  end)
end)
