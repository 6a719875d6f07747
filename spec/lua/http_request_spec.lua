-- px.http.request: the request as a server gets it.

local core = require "proxylua.core"
local plugins = require "spec.support.plugins"
local px = require "proxylua"
local servers = require "spec.support.server"

describe("px.http.request", function()
  local server

  setup(function() server = servers.start{ ["/echo"] = servers.ok "fine" } end)
  teardown(function() server:stop() end)

  local function head_of(request)
    request.url = request.url or server.url .. "/echo"
    request.proxy = ""
    px.http.request(request)
    local requests = server:requests()
    return requests[#requests]
  end

  it("is a GET unless a method is given, of any that HTTP has", function()
    assert.has.match("^GET /echo", head_of{})
    for _, method in ipairs{ "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } do
      assert.has.match("^" .. method .. " /echo", head_of{ method = method })
    end
  end)

  it("sends a form, percent-encoded", function()
    local text = head_of{ method = "POST", form = { a = "b c&d", ["é"] = 5, on = true } }
    assert.has.match("%C3%A9=5&a=b%20c%26d&on=true", text, 1, true)
    assert.has.match("application/x-www-form-urlencoded", text, 1, true)
  end)

  it("sends a user name and a password, like curl", function()
    for user, password in pairs{ a = "", ab = "x", abc = "p\xFFw:", ["é"] = ("z"):rep(40) } do
      local pipe = assert(io.popen("printf %s '" .. user .. ":" .. password
        .. "' | base64 -w 0"))
      assert.has.match("Authorization: Basic " .. pipe:read("a") .. "\r\n",
        head_of{ auth = { user, password } }, 1, true)
      pipe:close()
    end
  end)

  it("takes the options of px.http.get", function()
    local text = head_of{ query = { q = "x y" }, headers = { ["X-Own"] = "1" }, method = "PUT",
      json = { a = 1 } }
    assert.has.match("PUT /echo?q=x%20y", text, 1, true)
    assert.has.match("X%-Own: 1", text)
    assert.has.match('{"a":1}', text, 1, true)
  end)

  it("refuses what contradicts itself", function()
    for message, request in pairs{
      ["one of body, json and form"] = { form = {}, body = "x" },
      ["header Authorization is given already"] = { auth = { "a", "b" },
        headers = { authorization = "x" } },
      ["user name without a colon"] = { auth = { "a:b", "c" } },
      ["form must be a table of names"] = { form = { a = {} } },
      ["method must be GET"] = { method = "FETCH" },
      ["got get, did you mean"] = { method = "get" },
    } do
      request.url = server.url
      local _, err = px.try(px.http.request, request)
      assert.are.equal("usage", err and err.kind, message)
      if message ~= "got get, did you mean" then
        assert.has.match(message, err.message, 1, true)
      end
    end
    assert.has.match("url is missing", select(2, px.try(px.http.request, {})).message)
  end)

  it("exists in plugins, for granted hosts", function()
    local home = plugins.home()
    home:install("caller", { manifest = [[permissions = { net = { "example.invalid" } },
      commands = { go = { run = "go", summary = "calls" } }]], files = { ["main.lua"] =
      [[local px = require "proxylua"
        return { go = function()
          local _, err = px.try(px.http.request, { url = "http://other.invalid/" })
          print(err.kind, select(2, px.try(px.http.request, { ur = 1 })).message)
        end }]] } })
    local result = home:run("caller", "go")
    assert.has.match("^forbidden\tpx.http.request has no option", result.out)
    home:remove()
  end)
end)

describe("the core", function()
  it("sends the methods of px.http", function()
    for method in pairs(core.http) do assert.is_function(px.http[method]) end
  end)
end)
