-- Proxies in documents, however deep they lie: JSON and YAML alike. What a format says in its own
-- way, its module adds with `special`.

local address = require "proxylua.proxies.address"
local core = require "proxylua.core"
local fields = require "proxylua.formats.fields"

local M = {}

local is_list, is_mapping = fields.is_list, fields.is_mapping

local specials, roots = {}, {}

--- Adds a way in which objects say what they are.
-- @param key that they have
-- @param fn function(object, walk, path) -> whether it has taken the object
function M.special(key, fn)
  specials[#specials + 1] = { key = key, fn = fn }
end

--- Adds a program whose configuration has proxies below some of its keys alone.
-- @param is_root function(object) -> the list of those keys; nil where it is another document
function M.root(is_root)
  roots[#roots + 1] = is_root
end

--- "results[3]"
function M.place(path)
  local parts = {}
  for at, key in ipairs(path) do
    if math.type(key) == "integer" then
      parts[at] = ("[%d]"):format(key)
    elseif key:find("^[%w_-]+$") then
      parts[at] = (at > 1 and "." or "") .. key
    else
      parts[at] = ("[%q]"):format(key)
    end
  end
  return table.concat(parts)
end

local Walk = {}
Walk.__index = Walk

local function add(walk, item)
  local queue = walk.queue
  queue[#queue + 1] = item
end

function Walk:emit(record)
  self.found = self.found + 1
  if not record.username then self.without_login = self.without_login + 1 end
  add(self, record)
end

-- The path to an entry; `key` nil: to the container itself.
local function with(path, key)
  if key == nil then return path end
  local longer = table.move(path, 1, #path, 1, {})
  longer[#longer + 1] = key
  return longer
end

function Walk:bad(path, key, line, why)
  self.reported = self.reported + 1
  local place = M.place(with(path, key))
  add(self, { bad = place ~= "" and place .. ": " .. why or why, line = line })
end

function Walk:skip(line, other)
  self.skipped = self.skipped + 1
  add(self, { skipped = other, line = line })
end

local DOUBTS <const> = 20

-- What may be a proxy with a mistake, or something else: a mistake where the document has no proxy.
function Walk:doubt(path, key, line, why)
  local doubts = self.doubts
  if self.found > 0 or #doubts == DOUBTS then return end
  doubts[#doubts + 1] = { path = path, key = key, line = line, why = why }
end

function Walk:report_doubts()
  if self.found + self.skipped + self.reported > 0 then return end
  for _, doubt in ipairs(self.doubts) do self:bad(doubt.path, doubt.key, doubt.line, doubt.why) end
end

-- Takes what fields.record or address.parse returned; false where that is not a proxy at all.
function Walk:take(path, key, line, record, why, other, is_weak)
  if record then
    self:emit(record)
  elseif other then
    self:skip(line, other)
  elseif why and not is_weak then
    self:bad(path, key, line, why)
  else
    if why then self:doubt(path, key, line, why) end
    return false, why
  end
  return true
end

local merge_depth <const> = 16

-- An object with what its "<<" brings: YAML's merges, of which its own keys and earlier ones win.
local function merged(object, depth)
  local base = object["<<"]
  if base == nil or depth > merge_depth then return object end
  local whole = { [0] = object[0] }
  local function put(from)
    for _, key in ipairs(from) do
      if key ~= "<<" and whole[key] == nil and from[key] ~= nil then
        whole[#whole + 1], whole[key] = key, from[key]
      end
    end
  end
  put(object)
  for _, other in ipairs(is_list(base) and base or { base }) do
    if is_mapping(other) then put(merged(other, depth + 1)) end
  end
  return whole
end

local address_lists = { proxies = true, proxy = true, proxylist = true, proxieslist = true,
  http = true, https = true, socks4 = true, socks4a = true, socks5 = true, socks5h = true,
  socks = true }

local function plain(key)
  return type(key) == "string" and key:lower():gsub("[%s_.-]", "") or key
end

-- Documents repeat a few keys; one that has thousands of them does not fill the memory.
local groups, remembered = {}, 0

-- The protocol that a key names, as in {"socks5": […]}; false for none.
local function group_of_key(key)
  if not key:find("^[hHsS]") then return false end
  local group = groups[key]
  if group == nil then
    group = address.protocol(plain(key)) or false
    if remembered >= 1000 then groups, remembered = {}, 0 end
    groups[key], remembered = group, remembered + 1
  end
  return group
end

-- Whether some text of the list is an address: then all have to be.
local function has_address(list)
  for _, item in ipairs(list) do
    if type(item) == "string" and address.parse(item) then return true end
  end
  return false
end

local function visit_texts(walk, list, path, before, protocol)
  local key = plain(path[#path])
  local certain = key == nil or address_lists[key] or walk.lists[M.place(path)]
  if not certain and not has_address(list) then return end
  walk.lists[M.place(path)] = true
  for at, item in ipairs(list) do
    if type(item) == "string" then
      walk:take(path, before + at, list[-at], address.parse(item, protocol))
    end
  end
end

local function has_texts_alone(list)
  for _, item in ipairs(list) do
    if type(item) ~= "string" then return false end
  end
  return #list > 1
end

-- ["10.0.0.1", 8080, "user", "password"]
local function is_row(list)
  if #list > 8 or not has_texts_alone(list) then return false end
  return not address.parse(list[1]) and address.columns(list) ~= nil
end

-- Entries of which some are proxies and others nothing are mistakes, unless none is a proxy.
local function report_others(walk, path, found, others)
  local name = M.place(path)
  local pending = walk.pending[name] or {}
  for _, other in ipairs(others) do
    pending.count = (pending.count or 0) + 1
    if #pending < 20 then pending[#pending + 1] = other end
  end
  walk.lists[name] = walk.lists[name] or found
  walk.pending[name] = pending
  if not walk.lists[name] then return end
  for _, other in ipairs(pending) do
    walk:bad(path, other.key, other.line, other.why or "not a proxy: host and port are missing")
  end
  local rest = (pending.count or 0) - #pending
  if rest > 0 then walk:bad(path, nil, nil, ("%d more entries are not proxies"):format(rest)) end
  walk.pending[name] = nil
end

local visit

local function visit_list(walk, list, path, before, protocol)
  local texts, found, others = false, false, {}
  for at = 1, #list do
    local item = list[at]
    if type(item) == "string" then
      texts = true
    elseif type(item) == "table" then
      if is_list(item) and is_row(item) then
        found = walk:take(path, before + at, item[-1], address.columns(item, protocol)) or found
      else
        local taken, why = visit(walk, item, path, before + at, protocol)
        if taken then
          found = true
        elseif is_mapping(item) or has_texts_alone(item) then
          others[#others + 1] = { key = before + at, line = item[0] or item[-1], why = why }
        end
      end
    end
  end
  local count = walk.found
  if texts then visit_texts(walk, list, path, before, protocol) end
  if #others > 0 or found then report_others(walk, path, found, others) end
  return found or walk.found > count
end

local function is_address_key(key)
  local meaning = fields.meaning(key)
  return meaning == "text" or meaning == "host" or address_lists[plain(key)] ~= nil
    or plain(key) == "all" or plain(key):find("proxy$") ~= nil
end

-- An address is a proxy if its key says so; others are counted.
local function visit_text(walk, object, path, key, protocol)
  local value = object[key]
  local record, why
  if value:find(":", 1, true) then record, why = address.parse(value, protocol) end
  if not record then
    if not address_lists[plain(key)] or not value:find("[%w%]]:%d") then return false end
    local is_several = value:find("[%s,;|]")
    walk:bad(path, key, object[0], is_several and "expected one address or a list of texts" or why)
    return true
  end
  if is_address_key(key) then
    walk:emit(record)
    return true
  end
  if record.username or not value:find("^https?://") then walk:skip(object[0], "other address") end
  return false
end

-- Whether a list has the names of columns: then other lists are rows in that order.
local function has_columns(list)
  local has = {}
  for _, name in ipairs(list) do
    local meaning = type(name) == "string" and fields.meaning(name)
    if meaning then has[meaning] = true end
  end
  return (has.host or has.ip) and has.port
end

local function has_fields_of(object, known)
  for _, name in ipairs(object) do
    if not known[name] then return false end
  end
  return true
end

-- What is like a proxy among proxies of a mapping is a mistake.
local function report_siblings(walk, path, records, others)
  if #others == 0 then return end
  local known = {}
  for _, record in ipairs(records) do
    for _, name in ipairs(record) do known[name] = true end
  end
  for _, other in ipairs(others) do
    if #records > 1 or #records == 1 and (tonumber(other.key) or has_fields_of(other.object, known))
    then
      walk:bad(path, other.key, other.object[0], other.why)
    end
  end
end

local function visit_children(walk, object, path, protocol, only)
  local any, records, others = false, {}, {}
  for _, key in ipairs(only or object) do
    local value = object[key]
    local group = group_of_key(key) or protocol
    if key:find(":%d") and address.parse(key) then
      walk:bad(path, key, object[0], "an address as a key is not read; expected a list of objects")
      any = true
    elseif is_list(value) and has_columns(value) then
      walk:bad(path, key, object[0], "names of columns apart from rows are not read; expected "
        .. "a list of objects")
      return true
    elseif type(value) == "table" then
      local taken, why, is_record = visit(walk, value, path, key, group)
      any = taken or any
      if is_record then records[#records + 1] = value end
      if not taken and why then
        others[#others + 1] = { key = key, object = value, why = why }
      end
    elseif type(value) == "string" then
      any = visit_text(walk, object, path, key, group) or any
    end
  end
  report_siblings(walk, path, records, others)
  return any
end

-- The name of a field with credentials.
local function login_of(object)
  for _, name in ipairs(object) do
    local meaning, value = fields.meaning(name), object[name]
    if meaning == "password" and type(value) == "string" and value ~= ""
      or meaning == "auth" and (is_mapping(value) and #value > 0
      or type(value) == "string" and value:find(":", 1, true)) then
      return name
    end
  end
end

local MAX_FIELDS <const> = 1000 -- of a record; a part of a larger object has as many keys

local function visit_object(walk, object, path, key, protocol)
  object = merged(object, 0)
  for at = 1, #specials do
    local special = specials[at]
    if object[special.key] ~= nil and special.fn(object, walk, path, key) then return true end
  end
  local only
  if key == nil and #path == 0 then
    for _, is_root in ipairs(roots) do only = only or is_root(object) end
  end
  local why
  if not only and #object < MAX_FIELDS then
    local taken
    taken, why = walk:take(path, key, object[0], fields.record(object, protocol))
    if taken then return true, nil, true end
  end
  -- The parts of the whole document came before what is left of it.
  local is_whole = key == nil and #path == 0
  local before = is_whole and 0 or walk.without_login
  local any = visit_children(walk, object, with(path, key), protocol, only)
  local login = not only and walk.without_login > before and login_of(object)
  if login then
    walk:bad(path, key, object[0], ("the field %q stands outside the records of the proxies")
      :format(login))
  end
  return any, why
end

local MAX_DEPTH <const> = 64

-- `key` is that of the value in the container at the path; nil for the container itself.
function visit(walk, value, path, key, protocol)
  if #path > MAX_DEPTH then return false end
  if is_list(value) then return visit_list(walk, value, with(path, key), 0, protocol) end
  return visit_object(walk, value, path, key, protocol)
end

-- Parts of large containers come without what is around them: these are never proxies.
local never = { rules = true, dns = true, inbounds = true, route = true, routing = true,
  listeners = true, services = true, ["proxy-groups"] = true, ["rule-providers"] = true,
  ["sub-rules"] = true, hosts = true }

local function is_aside(path)
  if never[path[1]] then return true end
  local depth = #path
  return path[1] == "outbounds" and depth == 3 and path[3] == "outbounds"
end

local function group_of(path)
  local protocol
  for _, key in ipairs(path) do
    protocol = type(key) == "string" and address.protocol(plain(key)) or protocol
  end
  return protocol
end

local function take_value(walk, value, path, before, protocol)
  if path and is_aside(path) then return end
  protocol = path and group_of(path) or protocol
  path = path or {}
  if is_list(value) then return visit_list(walk, value, path, before or 0, protocol) end
  if is_mapping(value) then return visit_object(walk, value, path, nil, protocol) end
  walk:take(path, nil, nil, address.parse(value, protocol))
end

--- Reads a document piece by piece.
-- @param kind "json" or "yaml"
-- @param reader of proxylua.util.lines
-- @param protocol for proxies that do not say
-- @return function that returns the next record; nil at the end; false, why and the line of what is
--   not a proxy; false, nil, the line and the type of what proxylua cannot use
function M.records(kind, reader, protocol)
  local document = core.document[kind]()
  local walk = setmetatable({ queue = {}, lists = {}, pending = {}, doubts = {}, found = 0,
    without_login = 0, skipped = 0, reported = 0 }, Walk)
  local at, ended = 0, false
  local function advance()
    local value, why, line, column = document:next()
    if value == false then
      document:feed(reader:chunk())
    elseif value ~= nil then
      walk.queue, at = {}, 0
      take_value(walk, value, why, line, protocol)
    else
      ended, walk.queue, at = true, {}, 0
      document:close()
      if why then
        add(walk, { bad = ("column %d: %s"):format(column, why), line = line, fatal = true })
      else
        walk:report_doubts()
      end
    end
  end
  return function()
    while true do
      at = at + 1
      local item = walk.queue[at]
      if item then
        if item.host then return item end
        return false, item.bad, item.line, item.skipped, item.fatal
      end
      if ended then return nil end
      advance()
    end
  end
end

return M
