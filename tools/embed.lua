-- Writes the C file that holds the Lua parts of the program as bytecode, and other files as they
--   are, sorted by name. lua5.4 tools/embed.lua OUTPUT FILE…
-- lua/proxylua/cli/orders.lua becomes "proxylua.cli.orders", any other x.lua the module "x"; other
-- files keep their path.

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = assert(file:read("a"))
  file:close()
  return text
end

-- Name and bytes of a file. Debug information is kept: tracebacks say proxylua/cli/orders.lua:12.
local function entry(path)
  if not path:find("%.lua$") then return { name = path, data = read(path) } end
  local short = path:match("^lua/(.+)$") or path:match("[^/]+$")
  local name = short:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
  return { name = name, data = string.dump(assert(load(read(path), "@" .. short, "t"))) }
end

-- Octal escapes have three digits always, so that a digit after one is never taken for a part of
-- it.
local function escape(char)
  return ("\\%03o"):format(char:byte())
end

local function literal(data)
  local lines = {}
  for from = 1, #data, 64 do
    lines[#lines + 1] = '"' .. data:sub(from, from + 63):gsub("[^%w ]", escape) .. '"'
  end
  return table.concat(lines, "\n")
end

local entries = {}
for index = 2, #arg do entries[#entries + 1] = entry(arg[index]) end
table.sort(entries, function(a, b) return a.name < b.name end)

local out = { "/* Written by tools/embed.lua. */", '#include "bind/embedded.h"', "" }
out[#out + 1] = "const struct embedded_file embedded_files[] = {"
for index, file in ipairs(entries) do
  assert(index == 1 or entries[index - 1].name ~= file.name, "two files are called " .. file.name)
  out[#out + 1] = ('{"%s", (const unsigned char *)\n%s, %d},'):format(file.name, literal(file.data),
    #file.data)
end
out[#out + 1] = "};"
out[#out + 1] = ("const size_t embedded_count = %d;\n"):format(#entries)

local file = assert(io.open(arg[1], "wb"))
assert(file:write(table.concat(out, "\n")))
assert(file:close())
