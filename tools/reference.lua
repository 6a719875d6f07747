-- Writes the doc comments of the reference into one file, which the program carries: a NUL behind
--   each. lua5.4 tools/reference.lua OUTPUT FILE…

package.path = "lua/?.lua;" .. package.path
local comments = require "proxylua.help.comments"

local out = {}
for index = 2, #arg do
  local file = assert(io.open(arg[index], "rb"))
  for _, comment in ipairs(comments.of(assert(file:read("a")))) do
    out[#out + 1] = comment .. "\0"
  end
  assert(file:close())
end

local file = assert(io.open(arg[1], "wb"))
assert(file:write(table.concat(out)))
assert(file:close())
