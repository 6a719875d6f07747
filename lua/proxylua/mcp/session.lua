-- The server's side of a conversation: reads messages, starts a task for each request that takes
-- time, and writes responses as they come. What a method does is in `methods`.

local call = require "proxylua.mcp.call"
local core = require "proxylua.core"
local protocol = require "proxylua.mcp.protocol"

local M = {}

local Session = {}
Session.__index = Session

local MAX_CALLS <const> = 128    -- at once
local MAX_LINE <const> = 4 << 20 -- bytes of a message
local CHUNK <const> = 1 << 16
local GRACE <const> = 2 -- seconds for what is under way when the client closes its side

--- Begins a conversation.
-- @param methods table: name -> { run = function(session, call), later = takes time, modern = false
--   or sessions = false where a revision does not know it }
-- @param fields table: `write` (function of a text), `server` (name and version), and what the
--   methods need
function M.new(methods, fields)
  fields.methods = methods
  fields.calls, fields.count, fields.asked, fields.questions = {}, 0, {}, 0
  return setmetatable(fields, Session)
end

--- Sends a request or a notification.
function Session:send(message)
  message.jsonrpc = "2.0"
  self.write(protocol.encode(message) .. "\n")
end

local function error_of(err)
  if type(err) == "table" and err.rpc then return err.rpc end
  return { code = protocol.codes.internal, message = tostring(err) }
end

-- Sends the response to a call, and none if it was cancelled.
local function respond(session, request, ok, result)
  request.ended = true
  if request.cancelled then return request.reply(nil) end
  if not ok and type(result) == "table" and result.result then ok, result = true, result.result end
  if ok and request.meta then protocol.complete(result, session.server) end
  local message = { id = request.id }
  if ok then message.result = result else message.error = error_of(result) end
  message.jsonrpc = "2.0"
  local encoded, text = pcall(protocol.encode, message)
  if not encoded then
    text = protocol.encode{ jsonrpc = "2.0", id = request.id, error = error_of(text) }
  end
  request.reply(text)
end

local function start(session, method, request, key)
  session.count = session.count + 1
  session.calls[key] = request
  request.task = core.task.spawn(function()
    local ok, result = pcall(method.run, session, request)
    if session.calls[key] == request then session.calls[key] = nil end
    session.count = session.count - 1
    respond(session, request, ok, result)
  end)
end

local function key_of(id)
  return math.type(id) == "integer" and "number " .. id or "string " .. tostring(id)
end

-- The method of a request; raises where its revision does not have it.
local function find(session, name, meta)
  local method = session.methods[name]
  if not method or meta and method.modern == false or not meta and method.sessions == false then
    protocol.fail("method", ("there is no method %s"):format(name))
  end
  if not meta and not session.version and not method.first then
    protocol.fail("params", ("%s came before initialize, and without a protocol version in its "
      .. "_meta"):format(name))
  end
  return method
end

local function request(session, message, reply)
  local id, params = message.id, message.params or {}
  local made = { session = session, id = id, params = params, reply = reply,
    send = function(notice) session:send(notice) end }
  local ok, err = pcall(function()
    if type(params) ~= "table" then protocol.fail("params", "params must be an object") end
    made.meta = protocol.read_meta(params)
    made = call.new(made)
    local method, key = find(session, message.method, made.meta), key_of(id)
    if not method.later then
      return respond(session, made, pcall(method.run, session, made))
    end
    if session.calls[key] then
      protocol.fail("request", "a request with this id is under way")
    end
    if session.count >= MAX_CALLS then
      protocol.fail("busy", ("%d requests are under way; wait for some of them"):format(MAX_CALLS))
    end
    start(session, method, made, key)
  end)
  if not ok then respond(session, made, false, err) end
end

local notices = {}

notices["notifications/cancelled"] = function(session, params)
  local found = session.calls[key_of(params.requestId)]
  if not found then return end
  found.cancelled = true
  found.task:cancel()
end

-- The response to a question of the server.
local function take_response(session, message)
  local asked = session.asked[key_of(message.id)]
  if not asked then return end
  asked.result = message.result or { action = "cancel" }
  asked.waiter:cancel()
end

local function is_message(message)
  return type(message) == "table" and message.jsonrpc == "2.0"
    and (type(message.method) == "string" or message.result ~= nil or message.error ~= nil)
end

-- Calls `reply` once: with the text of the response, or nil where there is none.
local function dispatch(session, message, reply)
  if not is_message(message) then
    local id = type(message) == "table" and message.id
    if protocol.is_id(id) then
      return reply(protocol.encode{ jsonrpc = "2.0", id = id,
        error = { code = protocol.codes.request, message = "not a JSON-RPC 2.0 message" } })
    end
    return reply(protocol.anonymous("request", "not a JSON-RPC 2.0 message"))
  end
  if not message.method then
    take_response(session, message)
    return reply(nil)
  end
  if message.id == nil then
    local notice = notices[message.method]
    if notice and type(message.params) == "table" then notice(session, message.params) end
    return reply(nil)
  end
  if not protocol.is_id(message.id) then
    return reply(protocol.anonymous("request", "an id must be a string or an integer"))
  end
  return request(session, message, reply)
end

-- The responses to a batch are one list, which is sent when the last of them is there.
local function dispatch_all(session, list)
  local texts, left = {}, #list
  for _, message in ipairs(list) do
    dispatch(session, message, function(text)
      texts[#texts + 1] = text
      left = left - 1
      if left == 0 and #texts > 0 then session.write("[" .. table.concat(texts, ",") .. "]\n") end
    end)
  end
end

local function take(session, line)
  local function reply(text)
    if text then session.write(text .. "\n") end
  end
  local ok, message = pcall(core.json.decode, line)
  if not ok then
    return reply(protocol.anonymous("parse", message.message or tostring(message)))
  end
  if not line:find("^%s*%[") then return dispatch(session, message, reply) end
  if session.version ~= protocol.BATCHES or #message == 0 then
    return reply(protocol.anonymous("request", #message == 0 and "an empty batch"
      or ("only revision %s has batches"):format(protocol.BATCHES)))
  end
  dispatch_all(session, message)
end

--- Sends a request to the client and waits for the response. Not in the modern revision, whose
-- servers send no requests.
-- @return result of the client, nil after `seconds`
function Session:request(method, params, seconds)
  self.questions = self.questions + 1
  local id = "proxylua-" .. self.questions
  local asked = { waiter = core.task.spawn(core.task.sleep, seconds) }
  self.asked[key_of(id)] = asked
  self:send{ id = id, method = method, params = params }
  pcall(asked.waiter.join, asked.waiter)
  self.asked[key_of(id)] = nil
  asked.waiter:cancel()
  core.task.sleep(0) -- raises where this call itself was cancelled
  return asked.result
end

-- --- input ---

-- A function that takes pieces of the input and calls `use` with each line.
local function splitter(session, use)
  local pieces, size, is_long = {}, 0, false
  local function add(piece)
    size = size + #piece
    if size <= MAX_LINE then
      pieces[#pieces + 1] = piece
    elseif not is_long then
      is_long, pieces = true, {}
      session.write(protocol.anonymous("parse",
        ("a message has more than %d bytes"):format(MAX_LINE)) .. "\n")
    end
  end
  local function finish()
    local line = table.concat(pieces)
    if not is_long and line:find("%S") then use(session, line) end
    pieces, size, is_long = {}, 0, false
  end
  return function(bytes)
    local from = 1
    while true do
      local at = bytes:find("\n", from, true)
      add(bytes:sub(from, at and at - 1 or -1))
      if not at then return end
      finish()
      from = at + 1
    end
  end, finish
end

-- What is under way has a moment to end; what spends ends in any case.
local function wind_up(session)
  local list = {}
  for _, one in pairs(session.calls) do list[#list + 1] = one end
  local tasks = require "proxylua.tasks"
  pcall(tasks.timeout, GRACE, function()
    for _, one in ipairs(list) do one.task:join() end
  end)
  for _, one in ipairs(list) do
    if not one.spends and not one.ended then one.task:cancel() end
  end
  for _, one in ipairs(list) do pcall(one.task.join, one.task) end
end

--- Serves until the input ends.
-- @param input of core.file.source
-- @raise cancelled by a signal; store when the input cannot be read
function Session:serve(input)
  local push, finish = splitter(self, take)
  while true do
    local bytes, why = input:read(CHUNK)
    if not bytes then
      if not why then break end
      core.error.raise{ kind = "store", message = "cannot read standard input: " .. why }
    end
    push(bytes)
  end
  finish()
  wind_up(self)
end

return M
