-- download.lua PATH SIZE: an order's text, streamed to a file.
local px = require "proxylua"

local path, size = arg[1], math.tointeger(arg[2])
px.orders.download("ord_1", { path = path })
local file <close> = assert(io.open(path))
assert(file:seek("end") == size)
