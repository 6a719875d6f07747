-- src/base/fs.c, by way of downloads: a file is there whole, or is what it was before.

local core = require "proxylua.core"
local program = require "spec.support.program"
local servers = require "spec.support.server"

describe("a download", function()
  local server, folder
  before_each(function() folder = program.folder() end)
  after_each(function()
    server:stop()
    program.remove(folder)
  end)

  -- Downloads /f to a path and returns the result.
  local function download(path, shell)
    local code = ("local px = require 'proxylua' local r, e = px.try(px.http.get, %q, { path = %q, "
      .. "timeout = 5 }) "
      .. "print(r and r.status or e.kind, e and e.message)"):format(server.url .. "/f", path)
    local line = program.command(folder, { "-e", code })
    local pipe = io.popen((shell or "") .. line .. " 2>&1")
    local text = pipe:read("a")
    pipe:close()
    return text
  end

  local function entries()
    local pipe = io.popen("ls -A " .. program.quote(folder))
    local text = pipe:read("a")
    pipe:close()
    return text
  end

  it("takes its name when it is complete, and only its owner can read it", function()
    server = servers.start{ ["/f"] = servers.ok(("x"):rep(100000)) }
    assert.equal("200\tnil\n", download(folder .. "/f"))
    assert.equal(100000, #program.read(folder .. "/f"))
    local pipe = io.popen("stat -c %a " .. folder .. "/f")
    assert.equal("600\n", pipe:read("a"))
    pipe:close()
    assert.equal("f\n", entries())
  end)

  for name, answer in pairs{
    ["is cut"] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" .. ("x"):rep(50000),
    ["ends in the middle of a chunk"] =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFF\r\nxxxx",
    ["is no success"] = "HTTP/1.1 404 X\r\nContent-Length: 4\r\n\r\ngone",
  } do
    it("that " .. name .. " leaves what was there", function()
      server = servers.start{ ["/f"] = answer }
      program.write(folder .. "/f", "before")
      download(folder .. "/f")
      assert.equal("before", program.read(folder .. "/f"))
      assert.equal("f\n", entries())
    end)
  end

  it("that goes silent ends, and leaves nothing", function()
    server = servers.start{ ["/f"] = { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxxx",
      hold = true } }
    assert.matches("^timeout", download(folder .. "/f"))
    assert.equal("", entries())
  end)

  it("that may grow no further is a store error, and leaves nothing", function()
    server = servers.start{ ["/f"] = servers.ok(("x"):rep(100000)) }
    local text = download(folder .. "/f", "ulimit -f 40; ")
    assert.matches("^store", text)
    assert.matches(folder .. "/f", text, 1, true)
    assert.equal("", entries())
  end)

  it("that is killed leaves nothing", function()
    server = servers.start{ ["/f"] = { "HTTP/1.1 200 OK\r\n\r\n", endless = ("x"):rep(65536) } }
    local code = ("require('proxylua').http.get(%q, { path = %q })"):format(server.url .. "/f",
      folder .. "/f")
    local pipe = io.popen(("%s & echo $!"):format(program.command(folder, { "-e", code })))
    local pid = pipe:read("n")
    while #server:requests() == 0 do core.task.sleep(0.01) end
    os.execute(("kill -KILL %d"):format(pid))
    pipe:close()
    assert.equal("", entries())
  end)

  it("through a link replaces what it leads to", function()
    server = servers.start{ ["/f"] = servers.ok("new") }
    program.write(folder .. "/real", "before")
    os.execute(("ln -s real %s/link"):format(folder))
    download(folder .. "/link")
    assert.equal("new", program.read(folder .. "/real"))
    assert.equal("link\nreal\n", entries())
  end)

  it("to a path that is not a regular file is refused", function()
    server = servers.start{ ["/f"] = servers.ok("x") }
    for _, path in ipairs{ folder, "/dev/null", "/dev/full" } do
      assert.matches("^usage", download(path))
    end
    assert.matches("^store", download(folder .. "/none/f"))
  end)
end)
