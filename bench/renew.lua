-- Instructions of `renew` that extends one order, by callgrind, with journals of several sizes, all
-- of the same day. Up to a fixed number of the last hour's entries are read for each charge; beyond
-- that the figure stays the same. Needs valgrind and sqlite3.
--   build/proxylua bench/renew.lua [PROGRAM]

package.path = "./?.lua;" .. package.path
local program = require "spec.support.program"
local sandboxes = require "spec.support.sandbox"

local path = ... or "build/proxylua"
local sandbox = sandboxes.start{ limits = "off" }
local store = sandbox.home .. "/state/proxylua/state.db"

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("a")
  return assert(pipe:close() and text, text)
end

local function query(statement)
  return (run(("sqlite3 %s %s"):format(program.quote(store), program.quote(statement))))
end

local function count()
  return tonumber(query("SELECT count(*) FROM charges"))
end

-- Adds settled entries. Every second one extends an order, the others create one.
local function fill(from, to)
  query(([[CREATE TEMP TABLE many AS
      WITH RECURSIVE n(n) AS (SELECT %d UNION ALL SELECT n + 1 FROM n WHERE n < %d)
      SELECT charges.*, n FROM n, (SELECT * FROM charges WHERE state = 2 LIMIT 1) AS charges;
    UPDATE many SET id = NULL, key = iif(n %% 2, 'renew/ord_x' || n || '/1795900000', 'x' || n),
      endpoint = iif(n %% 2, 'orders.extend', 'orders.create'), order_id = 'ord_x' || n;
    ALTER TABLE many DROP COLUMN n;
    INSERT INTO charges SELECT * FROM many]]):format(from, to))
end

local function measure()
  sandbox:eval("px.orders.create{ type = 'isp', quantity = 1, country = 'US', period = 1 }")
  local words = { "env", "-i", "PATH=" .. os.getenv("PATH"), "HOME=" .. sandbox.home,
    "PROXYLUA_BASE_URL=" .. sandbox.url, "PROXYLUA_API_KEY=" .. sandbox.key,
    "PROXYLUA_STORE=" .. store, "PROXYLUA_LIMITS=off", "PROXYLUA_SPEND=1000", "valgrind",
    "--tool=callgrind", "--callgrind-out-file=/dev/null", path, "renew", "--within", "3d",
    "--period", "30" }
  for at, word in ipairs(words) do words[at] = program.quote(word) end
  return run(table.concat(words, " ")):match("Collected : (%d+)")
end

measure() -- knows the account from here on
for _, range in ipairs{ { 1, 0 }, { 1, 300 }, { 301, 100000 } } do
  if range[2] > 0 then fill(table.unpack(range)) end
  print(("%7d entries: %s instructions"):format(count(), measure()))
end
sandbox:stop()
