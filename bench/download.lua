-- download.lua URL|ID PATH SIZE: streamed to a file, through px.http, or the text of an order.
local px = require "proxylua"

local from, path, size = arg[1], arg[2], math.tointeger(arg[3])
if from:find "^http" then
  assert(px.http.get(from, { path = path }).status == 200)
else
  px.orders.download(from, { path = path })
end
local file <close> = assert(io.open(path))
assert(file:seek("end") == size)
