-- src/store/notes.c, on both kinds of store.

local children = require "spec.support.children"
local program = require "spec.support.program"
local stores = require "spec.support.stores"

for _, place in ipairs(stores.all) do
  describe("notes in " .. place.name, function()
    local location, home
    setup(function()
      place.start()
      home = program.folder()
    end)
    teardown(function()
      place.stop()
      program.remove(home)
    end)
    before_each(function() location = place.fresh() end)

    local function run(code, base)
      local result = program.run({ "-e",
        "local px, notes = require 'proxylua', require 'proxylua.api.notes' " .. code }, {
        env = { PROXYLUA_STORE = location, PROXYLUA_BASE_URL = base or "http://127.0.0.1:9" } })
      assert.are.same({ 0, "" }, { result.code, result.err })
      return result.out
    end

    it("outlive the run that wrote them, with any text", function()
      local texts =
        "{ a = 'one', ['b c'] = '', ['ü\\n\\'\"%s'] = '\\u{1F600}' .. ('x'):rep(100000) }"
      run(("notes.put('pool', %s)"):format(texts))
      assert.are.equal("3\ttrue\n", run(([[
        local count, same, was = 0, true, %s
        for name, text in pairs(notes.get('pool', { 'a', 'b c', 'ü\n\'"%%s', 'none' })) do
          count, same = count + 1, same and was[name] == text
        end
        print(count, same)]]):format(texts)))
    end)

    it("are replaced, and removed with false, all at once", function()
      run([[notes.put('k', { a = '1', b = '2', c = '3' })
        notes.put('k', { a = '4', b = false, none = false })]])
      assert.are.equal("a=4 c=3 ",
        run "for name, text in notes.each('k') do io.write(name, '=', text, ' ') end")
    end)

    it("are listed in the order of their names, over all pages, with their time", function()
      run [[
        local all = {}
        for i = 1, 1203 do all[('n%05d'):format(i * 7 % 1203)] = tostring(i) end
        notes.put('many', all)]]
      assert.are.equal("1203\ttrue\ttrue\n", run [[
        local count, last, sorted, timely = 0, '', true, true
        for name, _, put_at in notes.each('many') do
          count, sorted, timely, last = count + 1, sorted and name > last, timely and math.abs(put_at - px.time()) < 600, name
        end
        print(count, sorted, timely)]])
    end)

    it("are forgotten when they have not been written for long, those of one kind", function()
      run [[
        notes.put('k', { a = '1', b = '2' }) notes.put('l', { a = '3' })
        notes.put('k', { a = '4' }, { api = true })]]
      place.query "UPDATE notes SET put_at = put_at - 100000000" -- by 100 seconds
      run "notes.put('k', { b = '5' })"
      assert.are.equal("1\tb=5 \t1\t1\n", run [[
        local count, left = notes.forget("k", 90), ""
        for name, text in notes.each("k") do left = left .. name .. "=" .. text .. " " end
        print(count, left, #notes.get("l", { "a" }).a,
          #notes.get("k", { "a" }, { api = true }).a)]])
      assert.are.equal("0\n", run "print(notes.forget('l', 110))")
    end)

    it("of one kind and one API are not those of another", function()
      run [[
        notes.put('k', { a = 'store' }) notes.put('k', { a = 'one' }, { api = true })
        notes.put('l', { a = 'l' })]]
      run("notes.put('k', { a = 'two' }, { api = true })", "http://127.0.0.1:10")
      local read = "print(notes.get('k', {'a'}).a, notes.get('k', {'a'}, { api = true }).a, "
        .. "notes.get('l', {'a'}).a)"
      assert.are.equal("store\tone\tl\n", run(read))
      assert.are.equal("store\ttwo\tl\n", run(read, "http://127.0.0.1:10"))
    end)

    it("are claimed by one of several processes", function()
      run ""
      local script = program.write(home .. "/claim.lua", [[
        local notes = require "proxylua.api.notes"
        for i = 1, 25 do
          if notes.put_new("claim", "n" .. i, "mine") then io.write("won ", i, "\n") end
        end]])
      local group = children.start(3, home, { script }, { PROXYLUA_STORE = location })
      local won = {}
      for _, child in ipairs(group:join()) do
        assert.are.equal(0, child.code, child.err)
        for number in child.out:gmatch("won (%d+)") do won[#won + 1] = tonumber(number) end
      end
      table.sort(won)
      local all = {}
      for i = 1, 25 do all[i] = i end
      assert.are.same(all, won)
    end)

    it("refuse what no store can keep", function()
      assert.are.equal("usage usage usage usage usage ", run [[
        for _, bad in ipairs{ { k = 1 }, { k = "\xFF" }, { k = "a\0b" }, { ["\xC0"] = "x" }, { [1] = "x" } } do
          local _, err = px.try(notes.put, "k", bad)
          io.write(err and err.kind or "none", " ")
        end]])
    end)
  end)
end
