-- Both kinds of store, for specs that hold for each.

local postgres = require "spec.support.postgres"
local program = require "spec.support.program"

local M = {}

local file = { name = "SQLite" }

function file.start()
  file.folder = program.folder()
end

function file.fresh()
  assert(os.execute(("rm -f %s/*"):format(file.folder)))
  return file.folder .. "/state.db"
end

function file.query(sql)
  local pipe = assert(io.popen(("sqlite3 -cmd '.timeout 5000' %s/state.db %s 2>&1"):format(
    file.folder, program.quote(sql))))
  local text = pipe:read("a")
  if not pipe:close() then error(text, 2) end
  return text
end

function file.bytes(hex)
  return ("X'%s'"):format(hex)
end

function file.another(name)
  return ("%s/%s.db"):format(file.folder, name)
end

function file.copy(name)
  local copy = file.another(name)
  file.query(("VACUUM INTO '%s'"):format(copy))
  return copy
end

function file.stop()
  program.remove(file.folder)
end

local database = { name = "PostgreSQL", server_is_ours = true }

function database.start()
  database.server = postgres.start()
end

function database.fresh()
  database.server:query("DROP SCHEMA IF EXISTS proxylua CASCADE")
  return database.server.url
end

function database.query(sql)
  local text = sql:gsub("hex%((%w+)%)", "encode(%1, 'hex')")
  return database.server:query("SET search_path = proxylua; " .. text)
end

function database.bytes(hex)
  return ("'\\x%s'"):format(hex)
end

function database.another(name)
  database.server:query(('CREATE DATABASE "%s"'):format(name))
  return (database.server.url:gsub("/postgres%?", "/" .. name .. "?"))
end

function database.copy(name)
  database.server:query(('CREATE DATABASE "%s" TEMPLATE postgres'):format(name))
  return (database.server.url:gsub("/postgres%?", "/" .. name .. "?"))
end

--- Cuts every connection to a database.
function database.cut(location)
  database.server:query(
    ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s' "
    .. "AND pid != pg_backend_pid()"):format(location:match("/([%w-]+)%?")))
end

--- A shell command that cuts one connection, any.
function database.cutter()
  return database.server:command(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres' "
    .. "AND pid != pg_backend_pid() ORDER BY random() LIMIT 1")
end

function database.stop()
  database.server:stop()
end

--- A list of stores: their `name`, and the functions `start`, `fresh` (the location of one that
-- holds nothing), `another` (one more, by its name), `copy` (one with what the fresh one holds now)
-- and `stop`; `query` runs SQL and returns what
-- it printed, `bytes` is how hexadecimal digits are written in it. PostgreSQL's has `cut`, `cutter`
-- and `server` too.
M.all = { file, database }

return M
