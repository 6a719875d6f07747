-- Passwords of proxies at the prompt: nothing that it shows has them, until it is asked to.

local program = require "spec.support.program"
local sandbox = require "spec.support.sandbox"
local terminal = require "spec.support.terminal"

describe("a password of a proxy", function()
  local world, at, id, found

  -- Sells passwords of a kind, the same ones in each run, since txt has no way to write one that
  -- ends in a blank; and opens a session that has seen none of them.
  local function open(kind)
    world = sandbox.start{ passwords = kind, seed = "1" }
    local buy =
      "print(require('proxylua').orders.create{ type = 'isp', quantity = 2, country = 'US' }.id)"
    id = world:run({ "-e", buy }).out:match("%S+")
    at = terminal.open({ "--quiet" }, {
      env = { PROXYLUA_BASE_URL = world.url, PROXYLUA_API_KEY = world.key,
        PROXYLUA_LIMITS = "off" }, width = 250,
    })
    at:prompt()
    at:run(("id = '%s'"):format(id))
    found = {}
  end

  -- What the prompt shows of an input; what of it has a password is kept in `found`.
  local function shown(code)
    local text = at:run(code)
    if not text:find("********", 1, true) then found[#found + 1] = code .. "\n" .. text end
    return text
  end

  after_each(function()
    at:close()
    world:stop()
  end)

  it("is masked in downloads and what is made of them", function()
    open "plain"
    shown "px.orders.download(id)"
    shown "d = px.orders.download(id) return d:match('[^:]*\\n')"
    shown "{ d }"
    shown "{ x = d:rep(2) }"
    shown ":json { d }"
    shown "{ { note = ('-'):rep(40) .. d:match('[^:]*\\n'):rep(9) } }"
    shown "px.orders.download(id, { format = 'csv' })"
    shown "px.request{ path = '/orders/' .. id .. '/download', query = { format = 'json' } }"
    shown "error(d)"
    shown "_error"
    shown "setmetatable({}, { __tostring = function() return d end })"
    at:type("px.spawn(function() error(d) end)")
    at:press("Enter")
    at:await("a task failed: stdin:1: 127.0.0.1:")
    local written = at:written()
    at:run(":reveal")
    local password = at:run("d:match('[^:]*\\n')"):match("%S+")
    assert.are.equal(16, #password)
    assert.is_nil(written:find(password, 1, true))
    assert.are.same({}, found)
  end)

  it("is masked in exports, with any characters", function()
    open "hard"
    for _, format in ipairs{ "url", "csv", "json", "env", "clash", "gost", "sing-box" } do
      shown(("px.export.text(id, { format = '%s' })"):format(format))
    end
    at:run("p = px.orders.proxies(id)[1].password")
    assert.are.equal("********", at:run("p"))
    shown "{ p .. 'x' }"
    shown "px.json.encode{ p }"
    assert.are.same({}, found)
  end)

  it("is masked when it comes from a file", function()
    open "plain"
    program.write(at.home .. "/proxies.txt", "10.0.0.1:8080:me:secret1\n10.0.0.2:8080:me:x\n")
    at:run("list = {} for p in px.proxies.each(os.getenv('HOME') .. '/proxies.txt') do list[#list "
      .. "+ 1] = p end")
    assert.are.equal("10.0.0.1:8080:me:********\n10.0.0.2:8080:me:x\n",
      at:run("px.export.text(list, { format = 'txt' })"))
    at:run(":reveal")
    assert.are.equal("secret1", at:run("list[1].password"))
  end)
end)
