local px = require "proxylua"

local function refused(pattern, fn, ...)
  local _, err = px.try(fn, ...)
  assert.are.equal("usage", err and err.kind, pattern)
  assert.matches(pattern, err.message)
end

describe("px.csv", function()
  it("reads records by the names in the heading", function()
    local rows = px.csv.read('\xEF\xBB\xBFid,note\r\n1,"a ""b"", c"\r\n\r\n 2 ,"two\r\nlines"\n3,')
    assert.are.same({ columns = { "id", "note" }, { id = "1", note = 'a "b", c' },
      { id = "2", note = "two\r\nlines" }, { id = "3", note = "" } }, rows)
    assert.are.same({ columns = {} }, px.csv.read(""))
  end)

  it("reads lists without a heading, and other delimiters", function()
    for _, delimiter in ipairs{ ",", ";", "|", "\t" } do
      local text = ("1 %s2\n"):gsub("%%s", delimiter)
      assert.are.same({ { "1", "2" } }, px.csv.read(text, { heading = false,
        delimiter = delimiter }))
    end
  end)

  it("returns what was written, for all kinds of fields", function()
    local parts = { "a", "1", " ", ",", ";", "|", "\t", '"', "\r", "\n", "#", "\xC3\xA9", "" }
    local random = 1
    local function pick(most)
      random = (random * 1103515245 + 12345) & 0x7FFFFFFF
      return (random >> 8) % most + 1
    end
    for _ = 1, 300 do
      local rows, width = {}, pick(4)
      for row = 1, pick(4) do
        rows[row] = {}
        for column = 1, width do
          local list = {}
          for at = 1, pick(5) do list[at] = parts[pick(#parts)] end
          rows[row][column] = table.concat(list)
        end
      end
      for _, delimiter in ipairs{ ",", ";", "|", "\t" } do
        local text = px.csv.write(rows, { delimiter = delimiter })
        assert.are.same(rows, px.csv.read(text, { heading = false, delimiter = delimiter }), text)
      end
    end
  end)

  it("writes numbers, booleans, money and absent values", function()
    assert.are.equal("id,price,new,note\r\n7,9.30,true,\r\n", px.csv.write(
      { { id = 7, price = px.money("9.30"), new = true } },
      { columns = { "id", "price", "new", "note" } }))
    local rows = px.csv.read("b,a\n1,2\n")
    assert.are.equal("b,a\r\n1,2\r\n", px.csv.write(rows))
    assert.are.equal("", px.csv.write{})
  end)

  it("refuses a text that is not CSV, with the line", function()
    refused("line 3: the row has 1 fields, the heading 2", px.csv.read, "a,b\n1,2\n3\n")
    refused("line 2: something follows a quoted field", px.csv.read, 'a,b\n"1"x,2\n')
    refused("line 2: a quoted field has no end", px.csv.read, 'a,b\n"1,2\n')
    refused('column 2 of the heading is a second "a"', px.csv.read, "a,a\n")
    refused("column 1 of the heading has no name", px.csv.read, ",a\n")
    refused("longer than 65536 bytes", px.csv.read, ("x"):rep(70000))
  end)

  it("refuses values and options that are not valid", function()
    refused("row 1: a is a table", px.csv.write, { { a = {} } }, { columns = { "a" } })
    refused("row 2 must be a table, got a string", px.csv.write, { {}, "x" })
    refused("delimiter must be a comma", px.csv.read, "", { delimiter = ":" })
    refused("delimiter must be a comma", px.csv.write, {}, { delimiter = "" })
    refused('has no option "headin", did you mean heading', px.csv.read, "", { headin = false })
    refused("columns must be a list", px.csv.write, {}, { columns = "a" })
    refused("takes a text, got a nil; read files with px.files.read", px.csv.read)
    refused("takes a list of rows, got a nil", px.csv.write)
    refused("options as a table", px.csv.read, "", "x")
  end)
end)
