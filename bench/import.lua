-- import.lua FILE COUNT: reads the proxies of a file, which has so many.
local px = require "proxylua"

local path, count = arg[1], math.tointeger(arg[2])
local read = 0
for _ in px.proxies.each(path) do read = read + 1 end
assert(read == count)
