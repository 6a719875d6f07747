-- QR codes as they come out, read back: the modules of what the program wrote, and what a real
-- reader makes of a picture.

local program = require "spec.support.program"

local M = {}

local modules_of = { [" "] = { "0", "0" }, ["▀"] = { "1", "0" }, ["▄"] = { "0", "1" },
  ["█"] = { "1", "1" } }

--- The rows of modules in lines of half blocks; lines of anything else are passed over.
-- @param text as a terminal shows it, without controls
-- @param width modules a row
function M.of_text(text, width)
  local rows = {}
  for line in text:gmatch("[^\n]+") do
    local upper, lower = {}, {}
    for _, code in utf8.codes(line) do
      local pair = modules_of[utf8.char(code)]
      if not pair then upper = {} break end
      upper[#upper + 1], lower[#lower + 1] = pair[1], pair[2]
    end
    local missing = ("0"):rep(width - #upper) -- a screen has no blanks at the end of a line
    if #upper > 0 and #upper <= width then
      rows[#rows + 1], rows[#rows + 2] = table.concat(upper) .. missing, table.concat(lower)
        .. missing
    end
  end
  return rows
end

--- The rows of modules in an SVG.
function M.of_svg(text)
  local width = tonumber(text:match('<rect width="(%d+)"'))
  local rows = {}
  for y = 1, width do rows[y] = ("0"):rep(width) end
  for x, y, length, back in text:gmatch("M(%d+) (%d+)h(%d+)v1h%-(%d+)z") do
    assert(length == back)
    x, y = tonumber(x), tonumber(y) + 1
    rows[y] = rows[y]:sub(1, x) .. ("1"):rep(tonumber(length))
      .. rows[y]:sub(x + tonumber(length) + 1)
  end
  return rows
end

-- The checksum of PNG, bit by bit.
local function checksum(bytes)
  local sum = 0xFFFFFFFF
  for at = 1, #bytes do
    sum = sum ~ bytes:byte(at)
    for _ = 1, 8 do sum = (sum >> 1) ~ (sum & 1 == 1 and 0xEDB88320 or 0) end
  end
  return sum ~ 0xFFFFFFFF
end

--- The chunks of a PNG: list of name and bytes. Raises where it is not in order.
function M.chunks(file)
  assert(file:sub(1, 8) == "\x89PNG\r\n\x1a\n", "the signature")
  local list, at = {}, 9
  while at <= #file do
    local size, name = (">I4c4"):unpack(file, at)
    local bytes = file:sub(at + 8, at + 7 + size)
    assert((">I4"):unpack(file, at + 8 + size) == checksum(name .. bytes), "the checksum of "
      .. name)
    list[#list + 1], at = { name = name, bytes = bytes }, at + 12 + size
  end
  return list
end

-- zlib's format is deflate between a head and a sum; gzip reads it behind a head of its own, and
-- only misses the sum.
local function inflate(bytes)
  local folder = program.folder()
  program.write(folder .. "/in", "\x1f\x8b\8\0\0\0\0\0\0\3" .. bytes:sub(3, -5))
  local pipe = assert(io.popen("gzip -dc <" .. program.quote(folder .. "/in") .. " 2>/dev/null"))
  local text = pipe:read("a")
  pipe:close()
  program.remove(folder)
  return text
end

--- The rows of modules in a PNG.
function M.of_png(file, scale)
  local header, pixels = M.chunks(file)[1].bytes, inflate(M.chunks(file)[2].bytes)
  local width, height = (">I4I4"):unpack(header)
  local rows, stride = {}, 1 + (width + 7) // 8
  assert(#pixels == stride * height, "the number of pixels")
  for y = 0, height - 1, scale do
    local cells = {}
    for x = 0, width - 1, scale do
      local byte = pixels:byte(y * stride + 2 + x // 8)
      cells[#cells + 1] = byte & (0x80 >> x % 8) == 0 and "1" or "0"
    end
    rows[#rows + 1] = table.concat(cells)
  end
  return rows
end

--- A picture of rows of modules, four pixels a module, as a plain PBM.
function M.picture(rows)
  local lines = { ("P1 %d %d"):format(#rows[1] * 4, #rows * 4) }
  for _, row in ipairs(rows) do
    local line = row:gsub("%d", function(cell) return (cell .. " "):rep(4) end)
    for _ = 1, 4 do lines[#lines + 1] = line end
  end
  return table.concat(lines, "\n") .. "\n"
end

--- What zbarimg reads in pictures.
-- @param paths list
-- @return text, a line each
function M.read(paths)
  for at, path in ipairs(paths) do paths[at] = program.quote(path) end
  local pipe = assert(io.popen("zbarimg --quiet --raw -Sdisable -Sqrcode.enable "
    .. table.concat(paths, " ")
    .. " 2>/dev/null"))
  local text = pipe:read("a")
  pipe:close()
  return text
end

return M
