-- src/bind/quote.c: texts inside of others.

local core = require "proxylua.core"

it("percent leaves letters, digits and - . _ ~, and encodes every other byte", function()
  for byte = 0, 255 do
    local one = string.char(byte)
    local plain = one:find("^[%w%-._~]$") ~= nil
    assert.equal(plain and one or ("%%%02X"):format(byte), core.quote.percent(one))
    assert.equal("a" .. core.quote.percent(one) .. "b", core.quote.percent("a" .. one .. "b"))
  end
  assert.equal("", core.quote.percent(""))
  assert.equal(("%FF"):rep(5000), core.quote.percent(("\xFF"):rep(5000)))
end)

it("json writes what reads back, and nothing that is not ASCII", function()
  for byte = 0, 127 do
    local text = "a" .. string.char(byte) .. "b"
    assert.equal(text, core.json.decode("[" .. core.quote.json(text) .. "]")[1])
  end
  assert.equal('""', core.quote.json(""))
  assert.equal('"' .. ("\\u0000"):rep(5000) .. '"', core.quote.json(("\0"):rep(5000)))
  for byte = 128, 255 do assert.is_nil(core.quote.json("a" .. string.char(byte))) end
end)
