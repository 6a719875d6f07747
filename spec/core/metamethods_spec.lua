-- Metamethods and methods of every userdata type of the program, called with other values.

local program = require "spec.support.program"

describe("the metamethods of the program's types", function()
  it("refuse the userdata of others", function()
    local result = program.run{ "-e", [[
      local px, core = require "proxylua", require "proxylua.core"
      pcall(core.file.source, "/dev/null")
      pcall(core.file.create, os.tmpname())
      pcall(core.data.load, "return 1", "name")
      px.json.encode{}
      px.try(px.http.get, "http://127.0.0.1:1", { headers = { a = "b" } })
      local lua_own = { ["FILE*"] = true, ["_UBOX*"] = true, _CLIBS = true, _LOADED = true }
      local types, seen, calls = {}, {}, 0
      local function collect(value)
        if type(value) ~= "table" and type(value) ~= "function" or seen[value] then return end
        seen[value] = true
        if type(value) == "function" then
          for i = 1, 255 do
            local name, inner = debug.getupvalue(value, i)
            if not name then break end
            collect(inner)
          end
          return
        end
        for name, field in next, value do
          if type(name) == "string" and name:find("^__") and type(field) == "function"
              and debug.getinfo(field).what == "C" then
            types[field] = name
          end
          collect(field)
        end
        collect(debug.getmetatable(value))
      end
      for name, value in pairs(debug.getregistry()) do
        if not lua_own[name] then collect(value) end
      end
      collect(core)
      for fn, name in pairs(types) do
        for _, other in ipairs{ io.stdout, px.money(1), {}, 1, "text", print } do
          calls = calls + 1
          pcall(fn, other, other)
        end
        pcall(fn)
      end
      assert(calls > 60, calls)
      io.stdout:write("survived\n")]] }
    assert.are.same({ 0, "survived\n" }, { result.code, result.out }, result.err)
  end)

  it("report the type that they expect", function()
    local px = require "proxylua"
    px.try(px.http.get, "http://127.0.0.1:1", { headers = { a = "b" } }) -- makes the type
    local fetch = debug.getregistry()["proxylua.fetch"]
    local ok, err = pcall(fetch.__gc, io.stdout)
    assert.is_false(ok)
    assert.matches("proxylua.fetch expected, got FILE", err, 1, true)
  end)
end)
