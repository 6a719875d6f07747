-- src/net/http_decode.c and downloads: a body is taken whole or not at all.

local nginx = require "spec.support.nginx"
local program = require "spec.support.program"
local px = require "proxylua"
local servers = require "spec.support.server"

local TEXT = ("10.0.0.1:8080:user:password\n"):rep(5000)

local function shell(command, input)
  local folder = program.folder()
  program.write(folder .. "/in", input)
  assert(os.execute(("%s <%s/in >%s/out"):format(command, folder, folder)))
  return program.read(folder .. "/out")
end

local packed = {
  gzip = shell("gzip -c", TEXT),
  deflate = shell("perl -MIO::Compress::Deflate=deflate -e 'deflate \"-\" => \"-\"'", TEXT),
  raw = shell("perl -MIO::Compress::RawDeflate=rawdeflate -e 'rawdeflate \"-\" => \"-\"'", TEXT),
}
packed.members = packed.gzip .. packed.gzip

local function head(coding, more)
  return ("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Type: text/plain\r\n%s\r\n"):format(
    coding, more or "")
end

local function sized(coding, body)
  return head(coding, ("Content-Length: %d\r\n"):format(#body)) .. body
end

-- Gets a response to memory and to a file, where "before" was.
local function get(bytes)
  local server = servers.start{ ["/x"] = bytes }
  local path = program.write(program.folder() .. "/file", "before")
  local memory, why = px.try(px.http.get, server.url .. "/x", { proxy = "" })
  local ok = px.try(px.http.get, server.url .. "/x", { proxy = "", path = path })
  server:stop()
  assert.are.equal(memory ~= nil, ok ~= nil)
  return memory and memory.body, program.read(path), why and why.kind
end

describe("a compressed body", function()
  it("is decoded", function()
    for kind, coding in pairs{ gzip = "gzip", deflate = "deflate", raw = "deflate" } do
      for _, bytes in ipairs{ sized(coding, packed[kind]), head(coding) .. packed[kind] } do
        local body, file = get(bytes)
        assert.are.equal(TEXT, body, kind)
        assert.are.equal(TEXT, file, kind)
      end
    end
    assert.are.equal(TEXT .. TEXT, (get(sized("gzip", packed.members))))
    assert.are.equal("", (get(sized("gzip", ""))))
  end)

  it("that ends early is an error, and the old file stays", function()
    for kind, coding in pairs{ gzip = "gzip", deflate = "deflate", raw = "deflate",
      members = "x-gzip" } do
      local whole = packed[kind]
      for _, size in ipairs{ 1, 5, 20, #whole // 3, #whole - 9, #whole - 1 } do
        local part = whole:sub(1, size)
        for _, bytes in ipairs{ sized(coding, part), head(coding) .. part } do
          local body, file, err = get(bytes)
          assert.is_nil(body, kind .. size)
          assert.are.equal("before", file)
          assert.are.equal("network", err)
        end
      end
    end
    assert.is_nil((get(head("gzip"))))
  end)

  it("that is damaged, or followed by other bytes, is an error", function()
    local damaged = packed.gzip:sub(1, -6) .. "\0\0\0\0\0"
    for _, bytes in ipairs{ sized("gzip", damaged), sized("gzip", packed.gzip .. "xyz"),
      sized("br", packed.gzip), sized("gzip, gzip", packed.gzip), sized("gzip", "hello") } do
      local body, file, err = get(bytes)
      assert.are.same({ nil, "before", "protocol" }, { body, file, err })
    end
  end)

  it("is bounded after decoding", function()
    local server = servers.start{ ["/x"] = sized("gzip", packed.gzip) }
    finally(function() server:stop() end)
    local _, err = px.try(px.http.get, server.url .. "/x", { proxy = "", max_body = 1000 })
    assert.matches("larger than 1000 bytes", err.message)
  end)
end)

-- Passes bytes to a server and back, and closes after so many that came back.
local RELAY = [[
use IO::Socket::INET; use IO::Select;
my ($to, $left, $log) = @ARGV; my $passed = 0;
END { open my $file, ">", $log; print $file $passed }
my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1) or die;
$| = 1; print $listener->sockport, "\n"; alarm 20;
my $client = $listener->accept;
my $server = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $to) or die;
my $both = IO::Select->new($client, $server);
while (1) {
  for my $from ($both->can_read) {
    sysread $from, my $bytes, 65536 or exit;
    if ($from == $client) { syswrite $server, $bytes; next }
    $bytes = substr $bytes, 0, $left; $left -= length $bytes; $passed += length $bytes;
    syswrite $client, $bytes; exit if $left <= 0;
  }
}
]]

describe("a body of TLS without a length", function()
  it("is whole only where TLS was closed", function()
    local secure = nginx.start{ ["/unsized/x"] = TEXT }
    finally(function() secure:stop() end)
    local script = program.write(program.folder() .. "/relay", RELAY)
    -- Returns the body, the file and the error of a response that is cut after so many bytes.
    local function cut(size)
      local pipe = io.popen(("perl %s %s %d %s.log"):format(script,
        secure.http1_url:match("%d+$"), size, script))
      local port = pipe:read("n")
      local path = program.write(program.folder() .. "/f", "before")
      local result = program.run({ "-e", ([[
        local px = require "proxylua"
        local response, err = px.try(px.http.get, "https://127.0.0.1:%d/unsized/x",
          { path = %q, proxy = "" })
        print(response and "whole" or err.kind)]]):format(port, path) },
        { env = { SSL_CERT_FILE = secure.ca } })
      pipe:close()
      return result.out, program.read(path), result.err
    end
    local out, file, err = cut(1 << 30)
    assert.are.equal("whole\n", out, err)
    assert.is_true(file == TEXT)
    local total = tonumber(program.read(script .. ".log"))
    out, file, err = cut(total - 12) -- the record of close_notify has 24 bytes
    assert.are.same({ "network\n", "before" }, { out, file }, err)
  end)
end)

describe("a chunked body", function()
  it("without its last chunk is an error, and the old file stays", function()
    local start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    assert.are.equal("abc", (get(start .. "0\r\nX-Trailer: 1\r\n\r\n")))
    local body, file, err = get(start)
    assert.are.same({ nil, "before", "network" }, { body, file, err })
  end)
end)

describe("orders.download", function()
  local function download(body, format)
    local bytes = ("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s")
      :format(#body, body)
    local server = servers.start{ ["/orders/ord_1/download"] = bytes }
    local folder = program.folder()
    program.write(folder .. "/f", "before")
    local function run(...)
      return program.run({ "orders", "download", "ord_1", "--format", format, ... },
        { cwd = folder, env = { PROXYLUA_BASE_URL = server.url, PROXYLUA_LIMITS = "off",
          PROXYLUA_API_KEY = "sk_live_abc123def456" } })
    end
    local result, shown = run("-o", "f"), run("-o", "-")
    local accept = server:requests()[1]:match("\r\nAccept: ([^\r]*)")
    server:stop()
    assert.are.equal(result.code, shown.code)
    return result.code, program.read(folder .. "/f"), result.code == 0 and accept or shown.err
  end

  it("asks for the format that it saves", function()
    for format, accept in pairs{ txt = "text/plain", csv = "text/csv",
      json = "application/json" } do
      local body = format == "json" and '[{"host":"10.0.0.1"}]' or "[2001:db8::1]:80:a:b\n"
      assert.are.same({ 0, body, accept }, { download(body, format) })
    end
    local body = '{"success":true,"error":null,"data":[{"error":"x"}]}'
    assert.are.same({ 0, body }, { download(body, "json"), body })
  end)

  it("takes an error document for an error, and the old file stays", function()
    for _, case in ipairs{ { '{"success":false,"error":{"message":"no"}}', "txt" },
      { '{"error":"no"}', "csv" }, { '{"ok":1}', "txt" }, { '[{"host":"a"}]', "txt" },
      { ' \n{ "error" : "no" }', "json" }, { '{"success": false}', "json" },
      { "<!doctype html><p>no", "txt" }, { "<html>", "json" } } do
      local code, file = download(table.unpack(case))
      assert.are.same({ 4, "before" }, { code, file }, case[1])
    end
  end)

  it("reports the server's own reason in an error document, in every format", function()
    for _, format in ipairs{ "txt", "csv", "json" } do
      for body, expected in pairs{
        ['{"error":"the provider is down"}'] = { 4, "the provider is down" },
        ['{"success":false,"error":{"message":"too little","code":"INSUFFICIENT_BALANCE"}}'] =
          { 3, "too little .*INSUFFICIENT_BALANCE" } } do
        local code, file, err = download(body, format)
        assert.are.same({ expected[1], "before" }, { code, file }, body)
        assert.matches(expected[2], err)
      end
    end
  end)
end)
