-- Writes the documents that the benchmarks fetch below the folder given as argument.
local folder = ...

local function write(path, text)
  local file = assert(io.open(folder .. path, "w"))
  assert(file:write(text))
  assert(file:close())
end

local function order(i)
  return (
    '{"id":"ord_%06d","type":"isp","quantity":10,"period":30,"country":"US","status":"active",'
    .. '"price":"9.30","createdAt":"2026-10-%02dT10:%02d:00Z",'
    .. '"expiresAt":"2026-11-%02dT10:%02d:00Z",'
    .. '"lot":%d,"autoRenew":false}')
    :format(i, i % 28 + 1, i % 60, i % 28 + 1, i % 60, i)
end

local orders = {}
for i = 1, 100 do orders[i] = order(i) end
write("/api/v1/orders/index", '{"success":true,"data":[' .. table.concat(orders, ",")
  .. '],"meta":{"page":1,"perPage":100,"total":100,"totalPages":1}}')

write("/api/v1/account", (([[
  {"success":true,"data":{"id":"acc_7f3k2m9q","email":"someone@example.com","balance":"125.40","currency":"USD",
  "verified":true,"banned":false,"createdAt":"2025-03-14T09:26:53Z","lastLoginAt":"2026-11-02T08:15:30Z",
  "name":"Someone","company":"Example","country":"NL","language":"en","timezone":"Europe/Amsterdam",
  "ordersActive":12,"ordersTotal":431,"trafficUsed":18.25,"trafficLeft":81.75,
  "apiKeys":[{"id":"key_1","name":"restock","lastUsedAt":"2026-11-02T08:15:30Z"},
  {"id":"key_2","name":"reports","lastUsedAt":null}],
  "notify":{"email":true,"balanceBelow":20,"expiryDays":[7,3,1]}}}]]):gsub("\n? +", "")))

-- 600 bytes: strings, integers, fractions, flags, nested and in lists, as an answer of an API has
-- them.
local json = ([[
  {"id":"chk_01HF8Z3V6K","ip":"203.0.113.77","port":8080,"protocol":"http","country":"US","region":"Virginia",
  "city":"Ashburn","latitude":39.0438,"longitude":-77.4874,"asn":64500,"isp":"Example","proxy":true,"mobile":false,
  "latency":{"connect":12.5,"tls":31.25,"first":48.75,"total":52},
  "headers":{"host":"example.com","accept":"*/*","user-agent":"check","via":"1.1-edge-17"},
  "tags":["isp","static","sticky"],"history":[200,200,200,407,200,200,502,200],
  "checkedAt":"2026-11-02T10:00:00Z","pad":"]]):gsub("\n? +", "")
write("/json600", json .. ("x"):rep(600 - #json - 2) .. '"}')

-- The text of an order's download: 40 MB of proxies, a line each.
local lines = {}
for i = 0, 65535 do
  lines[#lines + 1] = ("10.0.%d.%d:8080:user%05d:Pa55w0rd\n"):format(i // 256, i % 256, i)
end
local block = table.concat(lines)
write("/api/v1/orders/ord_1/download", block:rep(40 * 1024 * 1024 // #block + 1):sub(1,
  40 * 1024 * 1024))
