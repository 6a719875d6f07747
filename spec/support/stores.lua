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

function file.stop()
  program.remove(file.folder)
end

local database = { name = "PostgreSQL" }

function database.start()
  database.server = postgres.start()
end

function database.fresh()
  database.server:query("DROP SCHEMA IF EXISTS proxylua CASCADE")
  return database.server.url
end

function database.stop()
  database.server:stop()
end

--- A list of stores: their `name`, and the functions `start`, `fresh` (the location of one that holds nothing) and `stop`.
M.all = { file, database }

return M
