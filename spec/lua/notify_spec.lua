-- lua/proxylua/notify.lua: what a real server on loopback receives, and what is never sent.

local core = require "proxylua.core"
local program = require "spec.support.program"
local notify = require "proxylua.notify"
local px = require "proxylua"
local servers = require "spec.support.server"

local SECRET = "T0/B1/s3cretPart"

local function status(line, body, headers)
  return { ("HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s"):format(line, #body, headers or "",
    body), keep = true }
end

-- The method, path and JSON of a request.
local function parts(request)
  local method, path = request:match("^(%S+) (%S+) ")
  return method, path, core.json.decode(request:match("\r\n\r\n(.*)$"))
end

describe("px.notify", function()
  local server
  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  -- Sends to a server that returns the next of some responses to each request.
  local function send(params, path, ...)
    server = servers.start{ [path:match("^[^?]*")] = { ... } }
    params.url = server.url .. path
    return px.notify(params)
  end

  local function received(at)
    local request = server:requests()[at or 1]
    assert.has.match("\r\nContent%-Type: application/json\r\n", request)
    assert.is_nil(request:find("Authorization", 1, true))
    return parts(request)
  end

  local function refused(kind, params, path, ...)
    local ok, err = pcall(send, params, path, ...)
    assert.is_false(ok)
    assert.are.equal(kind, err.kind, tostring(err))
    assert.is_nil(tostring(err):find("s3cretPart", 1, true), tostring(err))
    return err
  end

  it("sends plain JSON by default", function()
    assert.are.equal("json", send({ text = 'a "b" ü\nc' }, "/hook/" .. SECRET, servers.ok("fine")))
    local method, path, body = received()
    assert.are.same({ "POST", "/hook/" .. SECRET, { text = 'a "b" ü\nc' } }, { method, path, body })
  end)

  it("speaks Slack's language, where < calls people", function()
    assert.are.equal("slack", send({ text = "a <!channel> & b", kind = "slack" }, "/" .. SECRET,
      servers.ok("ok")))
    assert.are.same({ text = "a &lt;!channel&gt; &amp; b" }, (select(3, received())))
  end)

  it("sends Discord's format, without mentions and at most 2,000 characters", function()
    assert.are.equal("discord", send({ text = "@everyone " .. ("ü"):rep(3000), kind = "discord" },
      "/w/" .. SECRET,
      { "HTTP/1.1 204 No Content\r\n\r\n", keep = true }))
    local body = select(3, received())
    assert.are.same({ parse = {} }, body.allowed_mentions)
    assert.are.equal(2000, utf8.len(body.content))
    assert.has.match("^@everyone ü", body.content)
    assert.has.match("…$", body.content)
    assert.has.match('"parse":%[%]', server:requests()[1])
  end)

  it("speaks Telegram's, with the chat beside the URL or in it", function()
    local answer = servers.ok('{"ok":true}')
    for _, case in ipairs{
      { "/bot12:s3cretPart", { chat = 42 }, "42" }, { "/bot12:s3cretPart/sendMessage",
        { chat = "@chan" }, "@chan" },
      { "/bot12:s3cretPart/sendMessage?chat_id=-100", {}, "-100" },
      { "/bot12:s3cretPart?chat_id=%40chan", {}, "@chan" },
    } do
      server = servers.start{ ["/bot12:s3cretPart/sendMessage"] = answer }
      local params = { kind = "telegram", text = "hello", url = server.url .. case[1],
        chat = case[2].chat }
      assert.are.equal("telegram", px.notify(params))
      local _, path, body = received()
      assert.are.equal("/bot12:s3cretPart/sendMessage", path)
      assert.are.same({ chat_id = case[3], text = "hello" }, body)
      server:stop()
    end
    local err = refused("usage", { kind = "telegram", text = "x" }, "/bot12:s3cretPart")
    assert.has.match("needs a chat", err.message)
    server:stop()
    err = refused("usage", { kind = "telegram", text = "x", chat = 1 }, "/" .. SECRET)
    assert.has.match("bot's token", err.message)
  end)

  it("chooses the format by the whole host name", function()
    local hosts = { ["hooks.slack.com"] = "slack", ["discord.com"] = "discord",
      ["ptb.discord.com"] = "discord",
      ["api.telegram.org"] = "telegram", ["hooks.slack.com.example.org"] = "json",
        ["example.org"] = "json",
      ["HOOKS.SLACK.COM:443"] = "slack" }
    for host, kind in pairs(hosts) do
      assert.are.equal(kind, notify.kind_of(("https://%s/bot1:x?chat_id=1"):format(host)), host)
    end
  end)

  it("takes https, or loopback", function()
    for _, url in ipairs{ "http://example.org/x", "http://127.0.0.1.example.org/x",
      "http://127.0.0.999/x",
      "http://localhost.example.org/", "http://[::2]/", "ftp://127.0.0.1/x", "http://128.0.0.1/",
        "//127.0.0.1/", "x",
      "",
      "http://127.0.0.1\\@example.org/", "http://127.0.0.1@example.org/",
        "https://user:s3cretPart@example.org/",
      "https://example.org/a b", "https://example.org/#x", "http://127.0.0.1:99999/s3cretPart",
        5 } do
      local result, err = px.try(px.notify, { url = url, text = "x" })
      assert.is_nil(result, url)
      assert.are.equal("usage", err.kind, url)
      assert.is_nil(tostring(err):find("s3cretPart", 1, true), tostring(err))
    end
  end)

  it("tries again what passes, and nothing else", function()
    send({ text = "x" }, "/" .. SECRET, status("503 Busy", ""),
      status("429 Slow", "", "Retry-After: 1\r\n"),
      servers.ok("fine"))
    assert.are.equal(3, #server:requests())
    server:stop()
    local err = refused("invalid", { text = "x" }, "/" .. SECRET, status("404 No", "no_service"))
    assert.are.equal(1, #server:requests())
    assert.are.equal(404, err.status)
    assert.has.match("http://127%.0%.0%.1:%d+: the receiver refused the message %(HTTP 404%): "
      .. "no_service$", err.message)
  end)

  it("gives up after three attempts, and says at which server", function()
    local err = refused("upstream", { text = "x" }, "/" .. SECRET,
      status("500 Broken", "<html>s3cretPart</html>"))
    assert.are.equal(3, #server:requests())
    assert.has.match("HTTP 500%)$", err.message)
    server:stop()
    err = select(2, px.try(px.notify, { url = server.url .. "/" .. SECRET, text = "x" }))
    assert.are.equal("network", err.kind)
    assert.is_nil(tostring(err):find("s3cret", 1, true))
    assert.has.match("http://127%.0%.0%.1:%d+: cannot connect", err.message)
  end)

  it("takes the secret out of what the receiver says", function()
    local body = '{"ok":false,"description":"Not Found: 12:s3cretPart of /bot12:s3cretPart"}'
    local err = refused("invalid", { text = "x", kind = "telegram", chat = 1 },
      "/bot12%3As3cretPart",
      status("404 No", "x"))
    assert.are.equal(404, err.status)
    server:stop()
    server = servers.start{ ["/bot12:s3cretPart/sendMessage"] = { status("401 No", body) } }
    local params = { url = server.url .. "/bot12:s3cretPart", kind = "telegram", chat = 1,
      text = "x" }
    err = select(2, px.try(px.notify, params))
    assert.has.match("Not Found: 12:%*%*%* of /%*%*%*$", err.message)
  end)

  it("follows no redirection: it would carry the message elsewhere", function()
    local err = refused("invalid", { text = "x" }, "/" .. SECRET,
      status("302 Found", "", "Location: /elsewhere/s3cretPart\r\n"))
    assert.has.match("redirects", err.message)
    assert.are.equal(1, #server:requests())
  end)

  it("ends an attempt in time", function()
    local ok, err = pcall(send, { text = "x", timeout = 0.05 }, "/" .. SECRET, { "", hold = true })
    assert.is_false(ok)
    assert.are.equal("timeout", err.kind)
  end)

  it("refuses what it cannot send before anything leaves", function()
    for _, params in ipairs{ { text = "" }, { text = "\xFF" }, { text = 5 }, {},
      { text = "x", kind = "irc" },
      { text = "x", chat = {} }, { text = "x", timeout = "1" }, { text = "x", urll = "x" } } do
      -- a closed port: the kind says that nothing has left
      params.url = "http://127.0.0.1:9/" .. SECRET
      assert.are.equal("usage", select(2, px.try(px.notify, params)).kind)
    end
  end)

  it("has its URL from the environment, which neither an error nor a trace shows", function()
    server = servers.start{ ["/" .. SECRET] = { servers.ok(""),
      status("400 No", "bad /s3cretPart") } }
    local folder = program.folder()
    local run = { env = { PROXYLUA_NOTIFY_URL = server.url .. "/" .. SECRET }, stdin = [[
      local px = require "proxylua"
      print(px.notify{ text = "one" })
      px.notify{ text = "two" }]] }
    local result = program.run({ "--trace", folder .. "/trace", "--sandbox", "--verbose", "-" },
      run)
    assert.are.same({ 3, "json\n" }, { result.code, result.out })
    assert.is_nil(result.err:find("s3cret", 1, true), result.err)
    assert.has.match("HTTP 400", result.err)
    local trace = core.system.kind(folder .. "/trace") and program.read(folder .. "/trace") or ""
    assert.is_nil(trace:find("s3cret", 1, true))
    program.remove(folder)
    result = program.run({ "-" }, { stdin = "require('proxylua').notify{ text = 'x' }" })
    assert.has.match("PROXYLUA_NOTIFY_URL", result.err)
  end)
end)
