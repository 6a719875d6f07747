-- Properties of the terminal: its size, and whether colours are wanted.

local core = require "proxylua.core"

local M = {}

local USUAL_WIDTH = 80

--- Columns of the terminal behind a descriptor. COLUMNS takes precedence over the terminal's own
-- value, as in other programs.
function M.width(descriptor)
  local given = math.tointeger(tonumber(os.getenv("COLUMNS") or ""))
  if given and given > 0 then return given end
  return core.system.terminal_width(descriptor) or USUAL_WIDTH
end

--- Lines of the terminal behind a descriptor, nil if unknown.
function M.height(descriptor)
  local given = math.tointeger(tonumber(os.getenv("LINES") or ""))
  return given and given > 0 and given or core.system.terminal_height(descriptor)
end

--- Whether output to a descriptor is coloured.
-- @param flags table: no_color
-- @param settings table: color
function M.has_colors(descriptor, flags, settings)
  local variable = os.getenv("NO_COLOR")
  return core.system.isatty(descriptor) and not flags.no_color
    and (variable == nil or variable == "")
    and settings.color ~= false and os.getenv("TERM") ~= "dumb"
end

--- Whether the locale's texts are UTF-8.
function M.has_utf8()
  local locale = ""
  for _, name in ipairs{ "LANG", "LC_CTYPE", "LC_ALL" } do
    local value = os.getenv(name)
    if value and value ~= "" then locale = value end
  end
  return locale:lower():find("utf%-?8") ~= nil
end

return M
