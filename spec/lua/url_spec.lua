local px = require "proxylua"

local function refused(fn, ...)
  local _, err = px.try(fn, ...)
  assert.are.equal("usage", err and err.kind, tostring((...)))
  return err.message
end

describe("px.url", function()
  it("encodes any bytes, and decodes them again", function()
    local bytes = {}
    for byte = 0, 255 do bytes[#bytes + 1] = string.char(byte) end
    local text = table.concat(bytes)
    local encoded = px.url.encode(text)
    assert.is_nil(encoded:find("[^%w%-._~%%]"))
    assert.are.equal(text, px.url.decode(encoded))
    assert.are.equal("100% +", px.url.decode("100% +"))
  end)

  it("returns the parts of a URL", function()
    assert.are.same({ scheme = "https", host = "api.example.com", port = 8443, user = "us er",
      password = "p@:w", path = "/a%20b", query = "x=1&y=a+b%26&x=2&z", fragment = "top?",
      params = { x = "1", y = "a b&", z = "" } },
      px.url.parse("HTTPS://us%20er:p@:w@API.example.com:8443/a%20b?x=1&y=a+b%26&x=2&z#top?"))
    assert.are.same({ scheme = "http", host = "::1", port = 80, path = "/", params = {} },
      px.url.parse("http://[::1]"))
    assert.are.same({ scheme = "socks5", host = "h", port = 1080, user = "u", path = "/",
      query = "", fragment = "", params = {} }, px.url.parse("socks5://u@h:1080?#"))
    assert.are.equal("a?b", px.url.parse("http://h/#a?b").fragment)
    assert.is_nil(px.url.parse("http://h/#a?b").query)
    assert.are.equal("", px.url.parse("http://u:@h/").password)
  end)

  it("refuses what is not a URL with a host", function()
    for _, text in ipairs{ "", "example.com", "/path", "http://", "http:///x", "http://:80",
      "http://a b", "http://a:b", "http://a:65536", "http://a:1234567", "http://[::1", "http://[x]",
      "http://[127.0.0.1]", "http://a\n", "mailto:a@b", "1x://a", "http://::1/", "http://u@/" } do
      assert.matches("^px%.url%.parse: ", refused(px.url.parse, text))
    end
    for name, fn in pairs(px.url) do
      assert.are.equal(("px.url.%s takes a text, got a number"):format(name), refused(fn, 1))
    end
  end)
end)

describe("px.sha256", function()
  it("returns what sha256sum(1) prints", function()
    for _, text in ipairs{ "", "abc", "\0\xFF\n", ("x"):rep(100000) } do
      local path = os.tmpname()
      local file = assert(io.open(path, "wb"))
      file:write(text)
      file:close()
      local pipe = assert(io.popen("sha256sum <" .. path))
      assert.are.equal(pipe:read("a"):match("%x+"), px.sha256(text))
      pipe:close()
      os.remove(path)
    end
    assert.are.equal("px.sha256 takes a text, got a number", refused(px.sha256, 5))
  end)
end)
