-- get.lua URL COUNT IN_FLIGHT: GETs through px.http, each answer decoded; one in flight is a plain
-- loop.
local px = require "proxylua"

local url, count, in_flight = arg[1], math.tointeger(arg[2]), math.tointeger(arg[3])
local answered = 0

local function get()
  local answer = px.http.get(url)
  assert(answer.status == 200 and type(px.json.decode(answer.body)) == "table")
  answered = answered + 1
end

if in_flight == 1 then
  for _ = 1, count do get() end
else
  local list = {}
  for i = 1, count do list[i] = i end
  px.map(list, get, { concurrency = in_flight })
end
assert(answered == count)
