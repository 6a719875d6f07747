-- Saves results elsewhere when the requested file or output cannot be written. Until then they are
-- in an unnamed file, or in memory if that fails.

local core = require "proxylua.core"
local settings = require "proxylua.settings"

local M = {}
local Rescue = {}
Rescue.__index = Rescue

local CHUNK <const> = 1 << 16 -- bytes

--- Begins to store texts.
function M.new()
  return setmetatable({ file = io.tmpfile(), rest = {} }, Rescue)
end

--- Stores a text.
function Rescue:add(text)
  if self.file and not self.broken then
    self.whole = self.file:seek("cur")
    self.broken = not (self.file:write(text) and self.file:flush())
    if not self.broken then return end
  end
  self.rest[#self.rest + 1] = text
end

-- Passes on everything that was stored.
function Rescue:each(take)
  if self.file then
    local left = self.broken and self.whole or self.file:seek("end")
    self.file:seek("set")
    while left > 0 do
      local text = self.file:read(math.min(CHUNK, left))
      if not text then break end
      left = left - #text
      take(text)
    end
  end
  for _, text in ipairs(self.rest) do take(text) end
end

local function save_in(self, folder, name)
  local path = folder .. "/" .. name
  local file <close> = core.file.create(path)
  self:each(function(text) file:write(text) end)
  file:commit()
  return path
end

--- Saves the stored texts, readable only by the user.
-- @param ending of the file's name, such as "txt"
-- @return path; nil if no folder is writable
function Rescue:save(ending)
  local name = ("check-%s-%d.%s"):format(os.date("!%Y%m%dT%H%M%SZ"), core.system.pid(), ending)
  local folders = {}
  local found, folder = pcall(settings.state_folder)
  if found then folders[1] = folder end
  folders[#folders + 1] = os.getenv("TMPDIR") or "/tmp"
  for _, place in ipairs(folders) do
    local ok, path = pcall(save_in, self, place, name)
    if ok then return path end
  end
end

--- Closes the file.
function Rescue:close()
  if self.file then self.file:close() end
end

Rescue.__close = Rescue.close

return M
