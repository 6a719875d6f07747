-- Shows a text that is longer than the terminal in the user's pager.

local core = require "proxylua.core"
local terminal = require "proxylua.term.size"

-- The command of the pager; nil for none.
local function command()
  local given = os.getenv("PROXYLUA_PAGER") or os.getenv("PAGER")
  if given == "" or given == "cat" then return nil end
  if given then return given end
  if not os.execute("command -v less >/dev/null 2>&1") then return nil end
  return "LESS=${LESS-FRX} less"
end

-- Whether a text has more lines than the terminal shows at once.
local function is_long(text)
  local height = terminal.height(1)
  if not height then return false end
  local _, lines = text:gsub("\n", "")
  return lines >= height
end

--- Writes a text to standard output; on a terminal, through the pager if it is long. A program that
-- reads from a terminal, such as less, takes Ctrl-C itself.
-- @param text string, safe for a terminal
return function(text)
  local pager = core.system.isatty(0) and core.system.isatty(1) and os.getenv("TERM") ~= "dumb"
    and is_long(text) and command()
  if not pager then return core.system.write(text) end
  core.system.flush()
  local path = os.tmpname()
  core.system.write_file(path, text, 384) -- 0600
  local ok = os.execute(("%s <'%s'"):format(pager, path))
  os.remove(path)
  if not ok then core.system.write(text) end
end
