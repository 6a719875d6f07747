-- Runs a command with a PostgreSQL server of its own: `store=URL` becomes its last word.
--   proxylua on_postgres.lua COMMAND [WORD…]

package.path = "./?.lua;" .. package.path
local postgres = require "spec.support.postgres"
local program = require "spec.support.program"

local server = postgres.start()
local words = { ... }
words[#words + 1] = "store=" .. server.url
for at, word in ipairs(words) do words[at] = program.quote(word) end
local ok, _, code = os.execute(table.concat(words, " "))
server:stop()
os.exit(ok and 0 or code)
