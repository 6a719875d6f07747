-- Stores as an older version made them, whose schema had number 3.

local program = require "spec.support.program"

local M = {}

local SQLITE = [[
PRAGMA journal_mode = WAL;
CREATE TABLE scopes (key TEXT PRIMARY KEY, clock TEXT NOT NULL, seen_at INTEGER NOT NULL,
  paused_until INTEGER NOT NULL, probe_until INTEGER NOT NULL, paced_until INTEGER NOT NULL,
  next_at INTEGER NOT NULL, slots BLOB NOT NULL, slowed INTEGER NOT NULL DEFAULT 0)
  STRICT, WITHOUT ROWID;
CREATE TABLE accounts (key TEXT PRIMARY KEY, account TEXT NOT NULL, updated_at INTEGER NOT NULL)
  STRICT, WITHOUT ROWID;
CREATE TABLE charges (id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL,
  key TEXT NOT NULL, endpoint TEXT NOT NULL, params TEXT NOT NULL, params_hash TEXT NOT NULL,
  quote INTEGER NOT NULL, state INTEGER NOT NULL, order_id TEXT, price INTEGER, answer TEXT,
  snapshot TEXT, host TEXT, pid INTEGER NOT NULL, started INTEGER NOT NULL, run_id TEXT NOT NULL,
  day TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, note TEXT,
  ended_clock TEXT, ended_at INTEGER, UNIQUE (account, key)) STRICT;
CREATE INDEX charges_by_day ON charges (account, day);
CREATE INDEX charges_by_run ON charges (run_id);
CREATE INDEX charges_open ON charges (account) WHERE state NOT IN (2, 3);
CREATE TABLE notes (owner TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
  text TEXT NOT NULL, put_at INTEGER NOT NULL, PRIMARY KEY (owner, kind, name))
  STRICT, WITHOUT ROWID;
PRAGMA application_id = 1886940277; PRAGMA user_version = 3;
]]

local POSTGRES = [[
CREATE SCHEMA proxylua;
CREATE TABLE proxylua.version (version int NOT NULL);
INSERT INTO proxylua.version VALUES (3);
CREATE TABLE proxylua.scopes (key text PRIMARY KEY, clock text NOT NULL DEFAULT '',
  seen_at int8 NOT NULL DEFAULT 0, paused_until int8 NOT NULL DEFAULT 0,
  probe_until int8 NOT NULL DEFAULT 0, paced_until int8 NOT NULL DEFAULT 0,
  next_at int8 NOT NULL DEFAULT 0, slots bytea NOT NULL DEFAULT '',
  slowed int8 NOT NULL DEFAULT 0) WITH (fillfactor = 20);
CREATE TABLE proxylua.accounts (key text PRIMARY KEY, account text NOT NULL,
  updated_at int8 NOT NULL);
CREATE TABLE proxylua.charges (id bigserial PRIMARY KEY, account text NOT NULL, key text NOT NULL,
  endpoint text NOT NULL, params text NOT NULL, params_hash text NOT NULL, quote int8 NOT NULL,
  state int4 NOT NULL, order_id text, price int8, answer text, snapshot text, host text,
  pid int8 NOT NULL, started int8 NOT NULL, run_id text NOT NULL, day text NOT NULL,
  created_at int8 NOT NULL, updated_at int8 NOT NULL, note text, ended_clock text, ended_at int8,
  UNIQUE (account, key));
CREATE INDEX charges_by_day ON proxylua.charges (account, day);
CREATE INDEX charges_by_run ON proxylua.charges (run_id);
CREATE INDEX charges_open ON proxylua.charges (account) WHERE state NOT IN (2, 3);
CREATE TABLE proxylua.notes (owner text NOT NULL, kind text NOT NULL, name text COLLATE "C" NOT NULL,
  text text NOT NULL, put_at int8 NOT NULL, PRIMARY KEY (owner, kind, name));
]]

--- Makes one, empty, at the location that place.fresh gave.
function M.make(place)
  if place.server then return place.server:query(POSTGRES) end
  local file = program.write(place.folder .. "/old.sql", SQLITE)
  assert(os.execute(("sqlite3 %s/state.db <%s >/dev/null"):format(place.folder, file)))
end

--- SQL that adds an entry as the version before did.
-- @param entry table: key, state (number), quote, and may have price, snapshot, order_id, age
--   (seconds), endpoint, params
function M.insert(entry)
  local now = (os.time() - (entry.age or 0)) * 1000000
  local function text(value) return value and ("'%s'"):format(value) or "NULL" end
  return ("INSERT INTO charges (account, key, endpoint, params, params_hash, quote, state, "
    .. "order_id, price, answer, snapshot, pid, started, run_id, day, created_at, updated_at) "
    .. "VALUES ('A', '%s', '%s', '%s', 'h', %d, %d, %s, %s, '{}', %s, 1, "
    .. "1, 'r', '%s', %d, %d)"):format(entry.key, entry.endpoint or "orders.create",
    entry.params or "POST /orders {}", entry.quote, entry.state, text(entry.order_id),
    entry.price or "NULL", text(entry.snapshot), os.date("!%Y-%m-%d", now // 1000000), now, now)
end

return M
