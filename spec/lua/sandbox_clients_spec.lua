-- The sandbox as other HTTP clients see it: curl, and fetch of Node.js where that is installed.

local core = require "proxylua.core"
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local sandbox

local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read("a")
end

-- What curl prints of a request with the key, its head in front: status, headers (names in lower
-- case), body, and the exit code of curl.
local function curl(path, ...)
  local words = { "curl", "-sS", "-i", "--max-time", "20", "-H",
    "Authorization: Bearer " .. sandbox.key, ... }
  words[#words + 1] = sandbox.url .. path
  for at, word in ipairs(words) do words[at] = program.quote(word) end
  local text, code = output_of(table.concat(words, " ") .. " 2>&1; echo :$?"):match(
    "^(.*):(%d+)\n$")
  local head, body = text:match("^(.-)\r\n\r\n(.*)$")
  local headers = {}
  for name, value in (head or ""):gmatch("\n([^:\r\n]+): ([^\r\n]*)") do
    headers[name:lower()] = value
  end
  return { code = tonumber(code), status = tonumber((head or ""):match("^HTTP/1.1 (%d+)")),
    headers = headers, body = body }
end

describe("the sandbox, to curl,", function()
  setup(function() sandbox = sandboxes.start() end)
  teardown(function() sandbox:stop() end)

  it("responds with JSON, and with errors as JSON", function()
    for path, status in pairs{ ["/account"] = 200, ["/orders/none"] = 404, ["/nothing"] = 404 } do
      local answer = curl(path)
      assert.same({ 0, status, "application/json" }, { answer.code, answer.status,
        answer.headers["content-type"]:match("^[^;]+") }, path)
      assert.equal(status == 200, core.json.decode(answer.body).success, path)
    end
  end)

  it("responds to HEAD as to GET, without a body", function()
    for _, path in ipairs{ "/account", "/orders", "/orders/none" } do
      local whole, head = curl(path), curl(path, "--head")
      assert.same({ 0, whole.status, "" }, { head.code, head.status, head.body }, path)
      assert.equal(whole.headers["content-length"], head.headers["content-length"], path)
    end
  end)

  it("responds with 405 and the methods that the path has", function()
    local answer = curl("/orders", "-X", "DELETE")
    assert.same({ 0, 405, "GET, HEAD, POST" }, { answer.code, answer.status,
      answer.headers.allow })
  end)

  it("refuses contradictory lengths, and closes the connection", function()
    for _, headers in ipairs{ { "-H", "Content-Length: 5", "-H", "Transfer-Encoding: chunked" },
      { "-H", "Content-Length: 2, 40" }, { "-H", "Content-Length: +2" } } do
      local answer = curl("/orders/calc", "-d", "{}", table.unpack(headers))
      assert.same({ 400, "close" }, { answer.status, answer.headers.connection }, headers[2])
    end
  end)

  it("reads a body in chunks, and one that waits for 100 Continue", function()
    local body = '{"type":"isp","quantity":1,"country":"US","period":30}'
    for _, header in ipairs{ "Transfer-Encoding: chunked", "Expect: 100-continue" } do
      local answer = curl("/orders/calc", "-d", body, "-H", header)
      local last = answer.body:match("{.*}")
      assert.is_true(core.json.decode(last).success, header)
    end
  end)

  it("keeps a connection for the next request, after an error too", function()
    local line = ("curl -sS --max-time 20 -H %s -o /dev/null -o /dev/null -o /dev/null "
      .. "-w '%%{http_code} %%{num_connects}\\n' %s/account %s/none %s/orders"):format(
      program.quote("Authorization: Bearer " .. sandbox.key), sandbox.url, sandbox.url, sandbox.url)
    assert.equal("200 1\n404 0\n200 0\n", output_of(line))
  end)

  it("has meta on every list", function()
    for _, path in ipairs{ "/orders", "/account/transactions", "/reference/countries",
      "/deposits/addresses" } do
      local meta = core.json.decode(curl(path).body).meta
      assert.is_true(math.type(meta.total) == "integer" and meta.page == 1, path)
    end
  end)

  it("works with fetch of Node.js", function()
    if output_of("command -v node") == "" then return pending("Node.js is not installed") end
    local script = ([[
      const headers = { Authorization: "Bearer %s" };
      const base = "%s";
      (async () => {
        const list = await (await fetch(base + "/orders", { headers })).json();
        const head = await fetch(base + "/account", { method: "HEAD", headers });
        const wrong = await fetch(base + "/orders", { method: "PUT", headers, body: "{}" });
        const price = await fetch(base + "/orders/calc", { method: "POST", headers,
          body: JSON.stringify({ type: "isp", quantity: 1, country: "US", period: 30 }) });
        console.log(list.success, head.status, (await head.text()).length, wrong.status,
          wrong.headers.get("allow"), (await price.json()).success);
      })();]]):format(sandbox.key, sandbox.url)
    assert.equal("true 200 0 405 GET, HEAD, POST true\n",
      output_of("node -e " .. program.quote(script)))
  end)
end)
