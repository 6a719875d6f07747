--- QR codes for the terminal and as a picture. The margin that readers need is always included.
-- @module px.qr

local core = require "proxylua.core"
local declare = require("proxylua.util.options").declare
local names = require "proxylua.util.names"
local xml = require "proxylua.util.xml"

local M = {}

-- Black on white from the 256 colours, which themes do not redefine: some readers do not read light
-- modules on a dark background.
local INK, PLAIN = "\27[38;5;16;48;5;231m", "\27[0m"

local SCALE = 8 -- pixels per module
local TEXT = 2 -- size of the caption, in modules

local function check(caller, text)
  if type(text) ~= "string" or text == "" then
    names.usage("%s takes a text, got a %s", caller, type(text))
  end
end

-- Two rows of modules are a line of half blocks.
local halves = { ["00"] = " ", ["10"] = "▀", ["01"] = "▄", ["11"] = "█" }

local function line_of(upper, lower)
  local cells = {}
  for at = 1, #upper do cells[at] = halves[upper:sub(at, at) .. lower:sub(at, at)] end
  return INK .. table.concat(cells) .. PLAIN
end

--- A QR code for a terminal with UTF-8 and 256 colours: lines of half blocks, dark on light in any
-- colour theme.
-- @function px.qr.text
-- @tparam string text
-- @treturn string lines that each end with a line end
-- @treturn integer its width in columns
-- @treturn integer its height in lines
-- @raise usage for a text that is too long; config if libqrencode is not installed
-- @usage local code, columns, lines = px.qr.text("TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE")
-- print(columns, lines, #code > columns * lines)  --> 37  19  true
function M.text(text)
  check("px.qr.text", text)
  local rows, lines = core.qr.rows(text), {}
  local light = ("0"):rep(#rows)
  for at = 1, #rows, 2 do lines[#lines + 1] = line_of(rows[at], rows[at + 1] or light) end
  return table.concat(lines, "\n") .. "\n", #rows, #lines
end

-- The dark modules of a row as bars.
local function add_bars(parts, row, y)
  for from, bar in row:gmatch("()(1+)") do
    parts[#parts + 1] = ("M%d %dh%dv1h-%dz"):format(from - 1, y, #bar, #bar)
  end
end

-- A text below the code, shrunk to its width.
local function add_caption(parts, text, width)
  local size = math.min(TEXT, (width - 2) / utf8.len(text) / 0.62)
  parts[#parts + 1] = (
    '<text x="%g" y="%d" text-anchor="middle" font-family="monospace" font-size="%.3f">%s</text>')
    :format(width / 2, width, size, xml.escape(text))
end

local svg_options = declare("px.qr.svg", {
  { "caption", "string", "a line of text below the code", utf8 = true, pattern = "^%C+$",
    expected = "a line of UTF-8" },
})

local png_options = declare("px.qr.png", {
  { "scale", "integer", "pixels per module", min = 1, max = 64, default = 8 },
})

--- A QR code as an SVG picture.
-- @function px.qr.svg
-- @tparam string text
-- @param options
-- @treturn string the file
-- @raise usage; config
-- @usage local file = px.qr.svg("TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE",
--   { caption = "USDT on TRC20" })
-- print(file:match("^<svg ") ~= nil, file:find("USDT on TRC20", 1, true) ~= nil)  --> true  true
function M.svg(text, options)
  check("px.qr.svg", text)
  local caption = svg_options(options).caption
  local rows = core.qr.rows(text)
  local width, height = #rows, #rows + (caption and TEXT or 0)
  local parts = { ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" '
    .. 'height="%d">'):format(width,
    height, width * SCALE, height * SCALE),
      ('<rect width="%d" height="%d" fill="#fff"/>'):format(width, height) }
  local bars = {}
  for y, row in ipairs(rows) do add_bars(bars, row, y - 1) end
  parts[3] = '<path shape-rendering="crispEdges" d="' .. table.concat(bars) .. '"/>'
  if caption then add_caption(parts, caption, width) end
  parts[#parts + 1] = "</svg>\n"
  return table.concat(parts, "\n")
end

--- A QR code as a PNG picture, black and white.
-- @function px.qr.png
-- @tparam string text
-- @param options
-- @treturn string the file
-- @raise usage; config
-- @usage local file = px.qr.png("TQn9Y2khEsLJW1ChVWFMSMeRDow5KcbLSE", { scale = 4 })
-- print(file:sub(2, 4), (">I4"):unpack(file, 17))  --> PNG  148
function M.png(text, options)
  check("px.qr.png", text)
  return core.qr.png(text, png_options(options).scale)
end

return M
