-- One request that is under way: its progress, its log messages, and the questions to its client.

local core = require "proxylua.core"
local protocol = require "proxylua.mcp.protocol"

local M = {}

local Call = {}
Call.__index = Call

local PROGRESS_SECONDS <const> = 0.2 -- between two notices
local DECISION_SECONDS <const> = 600 -- for a person to decide

local levels = { debug = 1, info = 2, notice = 3, warning = 4, error = 5, critical = 6, alert = 7,
  emergency = 8 }

--- The levels of log messages: name -> rank.
M.levels = levels

--- Begins one.
-- @param fields table: `session`, `id`, `params`, `meta` (of the request, or nil) and `send`, a
--   function of a message
function M.new(fields)
  local meta = fields.params._meta
  local token = type(meta) == "table" and meta.progressToken
  fields.token = protocol.is_id(token) and token or nil
  fields.shown, fields.shown_at = -1, -PROGRESS_SECONDS
  return setmetatable(fields, Call)
end

--- Reports how far the work is, if the client wants to know and not too often.
-- @param done how many
-- @param total how many in all, nil if not known
-- @param what words for what is counted
function Call:progress(done, total, what)
  local now = core.task.clock()
  if not self.token or self.ended or done <= self.shown then return end
  if now - self.shown_at < PROGRESS_SECONDS and done ~= total then return end
  self.shown, self.shown_at = done, now
  self.send{ method = "notifications/progress", params = { progressToken = self.token,
    progress = done, total = total, message = what } }
end

--- A log message, if the client asked for its level.
function Call:log(level, text)
  local least = levels[self.meta and self.meta.log_level or self.session.log_level]
  if not least or levels[level] < least or self.ended then return end
  self.send{ method = "notifications/message",
    params = { level = level, logger = "proxylua", data = text } }
end

local function refuse(text)
  core.error.raise{ kind = "spend_refused", charge = "none",
    message = text .. "; nothing was bought" }
end

local function form(question)
  return { mode = "form", message = question, requestedSchema = { type = "object",
    properties = { confirm = { type = "boolean", title = "Spend this amount", default = false } },
    required = core.json.array{ "confirm" } } }
end

local function is_yes(response)
  return type(response) == "table" and response.action == "accept"
    and type(response.content) == "table" and response.content.confirm == true
end

-- What a yes is for: this call and this price, in this run of the server.
local function state_of(call, price)
  local params = call.params
  return core.digest.sha256(("%s\n%s\n%s\n%s"):format(call.session.secret, params.name,
    protocol.encode(params.arguments or {}), price))
end

-- The request ends with the question, and comes again with the response.
local function ask_again(call, question, price)
  local state = state_of(call, price)
  local responses = call.params.inputResponses
  local response = type(responses) == "table" and responses.confirm
  if response and call.params.requestState == state then
    if is_yes(response) then return end
    refuse("the person did not agree")
  end
  error({ result = { resultType = "input_required", requestState = state, inputRequests = {
    confirm = { method = "elicitation/create", params = form(question) } } } }, 0)
end

--- Asks the person at the client whether to spend an amount, and returns if the answer is yes.
-- @param question text
-- @param price money
-- @raise spend_refused
function Call:ask(question, price)
  local capabilities = self.meta and self.meta.capabilities or self.session.capabilities
  if not capabilities.elicitation then
    if self.meta then
      protocol.fail("capability", "this call asks a person, and the client cannot do that",
        { requiredCapabilities = { elicitation = {} } })
    end
    refuse("the client cannot ask a person, and the server was started with --ask")
  end
  if self.meta then return ask_again(self, question, price) end
  local params = form(question)
  if self.session.version ~= protocol.SESSIONS[1] then params.mode = nil end
  if not is_yes(self.session:request("elicitation/create", params, DECISION_SECONDS)) then
    refuse("the person did not agree")
  end
end

return M
