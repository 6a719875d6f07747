-- Properties of the terminal: its size, and whether colours are wanted.

local core = require "proxylua.core"

local M = {}

local USUAL_WIDTH = 80

--- Columns of the terminal behind a descriptor. COLUMNS takes precedence over the terminal's own
-- value, as in other programs.
function M.width(descriptor)
  local told = math.tointeger(tonumber(os.getenv("COLUMNS") or ""))
  if told and told > 0 then return told end
  return core.system.terminal_width(descriptor) or USUAL_WIDTH
end

--- Lines of the terminal behind a descriptor, nil if unknown.
function M.height(descriptor)
  local told = math.tointeger(tonumber(os.getenv("LINES") or ""))
  return told and told > 0 and told or core.system.terminal_height(descriptor)
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
    local told = os.getenv(name)
    if told and told ~= "" then locale = told end
  end
  return locale:lower():find("utf%-?8") ~= nil
end

return M
