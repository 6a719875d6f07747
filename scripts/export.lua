-- Writes the proxies of every active order to a file of its own, several downloads at a time.
--   proxylua scripts/export.lua FOLDER [FORMAT]
local px = require "proxylua"

local folder, format = arg[1] or ".", arg[2] or "csv"

local files = px.map(px.orders.each{ status = "active" }, function(order)
  local path = ("%s/%s.%s"):format(folder, order.id, format)
  return px.orders.download(order.id, { format = format, path = path }) -- the whole file, or none
end, { concurrency = 4 })

for _, path in ipairs(files) do print(path) end
print(#files .. " files")
