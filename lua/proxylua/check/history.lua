-- The results of the last checks of proxies, in the store: one note per proxy, of kind "check",
-- named after the proxy's URL without its password. Its text has "SECONDS+MILLISECONDS" for each
-- check that passed and "SECONDS-REASON", percent-encoded, for each that failed, oldest first.

local address = require "proxylua.proxies.address"

local core = require "proxylua.core"
local notes = require "proxylua.api.notes"

local M = {}

local KIND = "check"
local KEPT, BATCH = 20, 200 -- results per proxy; proxies that are written at once
local LONGEST = 90 * 86400 -- seconds: a proxy without checks for this long is forgotten

-- A user name may hold any byte; encoded, it is UTF-8 and has no colon.
local function name_of(result)
  return address.url{ protocol = result.protocol or "http", host = result.host,
    port = result.port, username = result.username }
end

local function outcome(result, now)
  if result.works then return ("%d+%d"):format(now, math.floor(result.time * 1000 + 0.5)) end
  return ("%d-%s"):format(now, address.encode(result.reason))
end

local function keep_last(text)
  local _, count = text:gsub(" ", "")
  for _ = 1, count + 1 - KEPT do text = text:gsub("^%S+ ", "") end
  return text
end

local Writer = {}
Writer.__index = Writer

--- Begins to write.
function M.writer()
  return setmetatable({ waiting = {}, count = 0 }, Writer)
end

--- Writes the waiting results.
-- @raise store
function Writer:flush()
  if self.count == 0 then return end
  local waiting, wanted = self.waiting, {}
  self.waiting, self.count = {}, 0
  for name in pairs(waiting) do wanted[#wanted + 1] = name end
  local before = notes.get(KIND, wanted)
  for name, text in pairs(waiting) do
    waiting[name] = keep_last(before[name] and before[name] .. " " .. text or text)
  end
  notes.put(KIND, waiting)
end

--- Adds a result, which is written with the next ones.
-- @raise store
function Writer:add(result)
  local name = name_of(result)
  local text = outcome(result, math.floor(core.task.now()))
  self.count = self.count + (self.waiting[name] and 0 or 1)
  self.waiting[name] = self.waiting[name] and self.waiting[name] .. " " .. text or text
  if self.count >= BATCH then self:flush() end
end

--- Writes the waiting results, and forgets proxies that have not been checked for a long time.
-- @raise store
function Writer:finish()
  self:flush()
  notes.forget(KIND, LONGEST)
end

-- Notes of version 0.1.0 are named host:port:user.
local function identity(name)
  if name:find("://", 1, true) then return address.parse(name) end
  local host, port, username = name:match("^([^:]*[^:%x][^:]*):(%d+):(.*)$")
  if not host then host, port, username = name:match("^(.*):(%d+):(.*)$") end
  return host and { host = host, port = math.tointeger(tonumber(port)),
    username = username ~= "" and username or nil }
end

local function read(name, text)
  local proxy = identity(name)
  if not proxy then return nil end
  local record = { host = proxy.host, port = proxy.port, username = proxy.username,
    protocol = proxy.protocol, checks = 0, works = 0, flaps = 0 }
  local before
  for seconds, mark, rest in text:gmatch("(%d+)([+-])(%S*)") do
    local works = mark == "+"
    record.checks = record.checks + 1
    if works then record.works = record.works + 1 end
    if before ~= nil and before ~= works then record.flaps = record.flaps + 1 end
    before = works
    record.last = works and "works" or address.decode(rest)
    record.last_at = os.date("!%Y-%m-%dT%H:%M:%SZ", math.tointeger(tonumber(seconds)))
  end
  return record
end

--- The last checks of a proxy.
-- @record proxy_history
-- @tfield string host
-- @tfield integer port
-- @tfield[opt] string username
-- @tfield string protocol
-- @tfield integer checks
-- @tfield integer works how many of these passed
-- @tfield integer flaps changes from working to not working and back
-- @tfield string last "works", or the reason
-- @tfield string last_at

--- The results of each proxy's last checks, by its address: `flaps` counts the changes from working
-- to not working and back. The last 20 results are stored; a proxy without checks for 90 days is
-- forgotten.
-- @function px.check.each_history
-- @treturn fun():proxy_history?
-- @raise store
-- @usage for proxy in px.check.each_history() do
--   if proxy.flaps > 3 then
--     print(proxy.host, proxy.port, proxy.works .. " of " .. proxy.checks)
--   end
-- end
function M.each()
  local next_note = notes.each(KIND)
  return function()
    for name, text in next_note do
      local record = read(name, text)
      if record then return record end
    end
  end
end

return M
