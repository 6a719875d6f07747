-- `proxylua journal`: shows the journal of purchases, and settles, exports and prunes entries.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local known = require "proxylua.cli.args.known"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local shapes = require "proxylua.cli.shape"
local tables = require "proxylua.term.table"

local UNKNOWN = 5 -- exit code: the outcome of a charge is unknown

local M = {}

-- Too long for a table, and useful only for a single entry.
local long_fields = { "answer", "snapshot" }

local SHOWN = 50 -- entries that list shows without --all

local function add_key(command, state)
  parsers.suggest(command:argument("key", "the key of the purchase"):argname("KEY"),
    known.keys(state))
  command:flag("--id", "KEY is the entry's id in the list"):target("by_id")
end

local function add_list(parser)
  local command = parsers.command(parser, "list", "show the newest 50 entries, oldest first",
    "journal list --state unknown", "journal list --all")
  command:flag("--all", "all entries, including pruned ones")
  local state = command:option("--state",
    "only entries in this state: intent, sent, unknown (these three are open), placed, "
    .. "not_placed, or open"):argname("STATE"):target("state")
  parsers.suggest(state, { "open", "intent", "sent", "unknown", "placed", "not_placed" })
  shapes.add_to(command, "entry")
end

local function add_show(parser)
  add_key(parsers.command(parser, "show", "show all fields of an entry",
    "journal show restock-2026-W48"))
end

local function add_settle(parser)
  local command = parsers.command(parser, "settle",
    "look up an unknown outcome, or set it",
    "journal settle restock-2026-W48 placed --order-id ord_abc123")
  add_key(command, "open")
  local state = command:argument("state",
    "placed: it was bought, and the key returns that order from now on; not_placed: "
    .. "neither the orders nor the transactions show it, and the key may buy again. Default: "
    .. "look it up, as the next "
    .. "purchase would"):argname("placed|not_placed"):args("?")
  parsers.suggest(state:choices{ "placed", "not_placed" }, { "placed", "not_placed" })
  command:option("--order-id",
    "with placed: id of the bought order, from proxylua orders list"):argname("ID")
  command:option("--price",
    "with placed: its price (default: the order's, else the quote)"):argname("AMOUNT")
  command:option("--note",
    "note for the journal; with placed and without an order id: the reason"):argname("TEXT")
end

local function add_before(command, what)
  return command:option("--before",
    "only entries that have not changed since this date, or for this duration (90d)" .. what)
    :argname("90d|DATE"):target("before")
end

local function add_export(parser)
  local command = parsers.command(parser, "export",
    "write settled entries to a file, one JSON value a line, oldest first",
    "journal export old.jsonl --before 90d")
  parsers.suggest(command:argument("file", "file to write, readable only by you "
    .. "(-: standard output)"):argname("FILE"), "files")
  add_before(command, " (default: all)")
end

local function add_prune(parser)
  local command = parsers.command(parser, "prune",
    "shrink old settled entries; export them first to keep their details",
    "journal prune --before 90d")
  add_before(command, ". A placed entry keeps what protects its key: the same key still returns "
    .. "its order. An entry that is not placed is removed. Open entries and the sums of the "
    .. "limits stay"):count(1)
end

function M.parser(parser)
  parser:require_command(true):command_target("action")
  add_list(parser)
  add_show(parser)
  add_settle(parser)
  add_export(parser)
  add_prune(parser)
  parsers.example(parser, "journal list --state open")
end

local function key_of(args)
  if not args.by_id then return args.key end
  return math.tointeger(tonumber(args.key))
    or names.usage("--id takes the id of an entry, a number, got %s", args.key)
end

-- The server may have sent any bytes.
local function readable(entry)
  for _, name in ipairs(long_fields) do
    local text = entry[name]
    if text and not utf8.len(text) then entry[name] = text:gsub("[\x80-\xFF]", "?") end
  end
  return entry
end

-- The first second of a date. A number alone may be meant as days.
local function time_of(text)
  if tonumber(text) then return duration.seconds(text, "--before") end
  local date = text:match("^%d%d%d%d%-%d%d%-%d%d$")
  local time = core.record.date(date and date .. "T00:00:00Z" or text)
  return time or core.task.now() - duration.seconds(text, "--before")
end

local actions = {}

-- The newest entries, the newest last, and the number of older ones.
local function newest(journal, state)
  local list = {}
  for entry in journal.each{ state = state, newest = true } do
    if not entry.pruned then table.insert(list, 1, entry) end
    if #list == SHOWN then break end
  end
  return list, #list == SHOWN and math.max(0, journal.count{ state = state } - SHOWN) or 0
end

local function iterator(list)
  local at = 0
  return function()
    at = at + 1
    return list[at]
  end
end

function actions.list(args, screen)
  local journal = require("proxylua").journal
  local unknown, list, hidden = 0, nil, 0
  if not args.all then list, hidden = newest(journal, args.state) end
  local each = list and iterator(list) or journal.each{ state = args.state }
  screen:stream("entry", function()
    local entry = each()
    if not entry then return nil end
    for _, name in ipairs(long_fields) do entry[name] = nil end
    if entry.open and not entry.running then unknown = unknown + 1 end
    return entry
  end)
  if hidden > 0 then screen:note("%d older entries are not shown; --all shows them", hidden) end
  if unknown > 0 then
    screen:note("%d of unknown outcome: proxylua journal show KEY shows details, proxylua journal "
      .. "settle KEY looks "
      .. "it up", unknown)
  end
end

function actions.export(args, screen)
  local before, lines = args.before and time_of(args.before) or math.huge, {}
  for entry in require("proxylua").journal.each() do
    if not entry.open and core.record.date(entry.updated_at) < before then
      lines[#lines + 1] = core.json.encode(readable(entry)) .. "\n"
    end
  end
  if args.file == "-" then return core.system.write(table.concat(lines)) end
  core.system.write_file(args.file, table.concat(lines))
  if screen:is_data() then return screen:record(nil, { file = args.file, entries = #lines }) end
  return screen:note("%d entries written to %s", #lines, args.file)
end

function actions.prune(args, screen)
  local smaller, removed = require("proxylua").journal.prune(time_of(args.before))
  if screen:is_data() then return screen:record(nil, { pruned = smaller, removed = removed }) end
  return screen:note("%d entries shrunk, %d removed; placed keys still return their "
    .. "orders", smaller,
    removed)
end

local function note_what_to_do(entry, screen)
  screen:note(
    "run proxylua journal settle %s to look it up; once proxylua orders list and account "
    .. "transactions show the outcome, add placed --order-id ID or not_placed", entry.key)
end

local function note_why_unknown(entry, screen)
  local why = entry.note and entry.note ~= "" and entry.note or "the API does not show the outcome"
  screen:note("it stays unknown: %s. Look it up again later, or see whether proxylua orders list "
    .. "and account transactions show the order, and run "
    .. "proxylua journal settle %s placed --order-id ID, or not_placed",
    tables.clean(why),
    entry.key)
end

function actions.show(args, screen)
  local key = key_of(args)
  local entry = core.journal.get(key)
  if not entry then
    core.error.raise{
      kind = "not_found",
      message =
        ("the journal has no entry with the %s %s; proxylua journal list shows all entries"):format(
        args.by_id and "id" or "key", key),
    }
  end
  screen:record("whole_entry", readable(entry))
  if entry.open and not entry.running then
    note_what_to_do(entry, screen)
  end
end

-- The API's record of the order; nil when the API cannot be reached.
local function look_up(id)
  local px = require "proxylua"
  local order, err = px.try(px.orders.get, id)
  if not order and err.kind == "not_found" then
    names.usage("order %s does not exist; proxylua orders list shows your orders", id)
  end
  return order
end

function actions.settle(args, screen)
  local journal, key = require("proxylua").journal, key_of(args)
  local order = args.order_id and look_up(args.order_id)
  local entry = core.journal.get(key)
  local is_purchase = entry and entry.endpoint == "orders.create"
  entry = journal.settle(key, args.state, {
    order_id = args.order_id, note = args.note, price = args.price
      or (is_purchase and order and order.price) or nil,
  })
  screen:record("whole_entry", readable(entry))
  if entry.open then
    core.system.set_exit_code(UNKNOWN)
    return note_why_unknown(entry, screen)
  end
  screen:note(entry.state == "placed" and "from now on, key %s returns %s" or "key %s may buy "
    .. "again",
    entry.key,
    entry.order_id and "order " .. entry.order_id or "the entry's response")
end

function M.run(args, context)
  actions[args.action](args, context.screen)
end

return M
