-- proxies.lua URL FILE IN_FLIGHT TIMEOUT WORKING: once through each proxy of the file; WORKING of
-- them answer.
local px = require "proxylua"

local url, path, in_flight, timeout = arg[1], arg[2], math.tointeger(arg[3]), tonumber(arg[4])
local proxies = {}
for proxy in io.lines(path) do proxies[#proxies + 1] = proxy end

local working = 0
px.map(proxies, function(proxy)
  local answer = px.try(px.http.get, url, { proxy = proxy, timeout = timeout })
  if answer and answer.status == 200 and type(px.json.decode(answer.body)) == "table" then
    working = working + 1
  end
end, { concurrency = in_flight })
assert(working == tonumber(arg[5]), working)
