--- Messages to Slack, Discord, Telegram, or any receiver of JSON. The path of such a URL is a
-- secret; error messages leave it out.
-- @module px.notify

local core = require "proxylua.core"
local declare = require("proxylua.util.options").declare
local names = require "proxylua.util.names"

local M = {}

local ATTEMPTS, FIRST_PAUSE, MAX_PAUSE = 3, 0.5, 30 -- seconds between two attempts, at most

local function is_loopback(host)
  if host == "localhost" or host:find("%.localhost$") or host == "[::1]" then return true end
  local octets = { host:match("^(127)%.(%d+)%.(%d+)%.(%d+)$") }
  for _, octet in ipairs(octets) do
    if tonumber(octet) > 255 or #octet > 3 then return false end
  end
  return #octets == 4
end

-- Scheme, host and port of a URL, which may be shown; the host; and the rest. Error messages do not
-- quote the URL.
local function take_apart(url)
  if type(url) ~= "string" or url:find("[^!-~]") or url:find("[\\#]") then
    names.usage("px.notify: url must be a text without spaces, \\ and #")
  end
  local scheme, authority, rest = url:match("^(%a+)://([^/?]+)(.*)$")
  if not scheme then
    names.usage("px.notify: url must be a URL such as https://hooks.slack.com/services/…")
  end
  if authority:find("@", 1, true) then
    names.usage("px.notify: the URL must not contain a user name or password")
  end
  local host = authority:lower():gsub(":%d*$", "")
  scheme = scheme:lower()
  if scheme ~= "https" and not (scheme == "http" and is_loopback(host)) then
    names.usage("px.notify: %s://%s must be https or loopback: the message would be sent "
      .. "unencrypted", scheme,
      authority)
  end
  return scheme .. "://" .. authority, host, rest
end

-- A text of at most this many characters (bytes, if it is not UTF-8).
local function cut(text, most)
  if (utf8.len(text) or #text) <= most then return text end
  local last = utf8.len(text) and utf8.offset(text, most) or most
  return text:sub(1, last - 1) .. "…"
end

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

local kinds = {}

function kinds.json(message)
  return message.url, { text = message.text }
end

function kinds.slack(message)
  return message.url, { text = cut(message.text, 4000):gsub("[&<>]", entities) }
end

-- Names in the text must not notify users of the receiver.
function kinds.discord(message)
  return message.url, { content = cut(message.text, 2000),
    allowed_mentions = { parse = core.json.array{} } }
end

-- https://api.telegram.org/bot123:ABC, with /sendMessage and ?chat_id= or without.
function kinds.telegram(message)
  local bot, method, query = message.rest:match("^(/bot[^/?]+)([^?]*)%??(.*)$")
  if not bot or not (method == "" or method == "/" or method == "/sendMessage") then
    names.usage("px.notify: Telegram's URL is https://api.telegram.org/bot and the bot's token")
  end
  local chat = message.chat or query:match("^chat_id=([^&]+)$")
  if not chat then
    names.usage("px.notify: Telegram needs a chat: set chat=, or ?chat_id= in the URL")
  end
  chat = tostring(chat):gsub("^%%40", "@")
  return message.place .. bot .. "/sendMessage", { chat_id = chat, text = cut(message.text, 4096) }
end

local hosts = {
  ["hooks.slack.com"] = "slack", ["hooks.slack-gov.com"] = "slack", ["discord.com"] = "discord",
  ["discordapp.com"] = "discord", ["api.telegram.org"] = "telegram",
}

--- The kind of receiver that a URL leads to, by its host.
-- @return "slack", "discord", "telegram" or "json"
-- @raise usage
function M.kind_of(url)
  local _, host = take_apart(url)
  return hosts[host] or hosts[host:match("^[^.]+%.(.+)$")] or "json"
end

local function unescape(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- Removes every part of the URL's secret from a text of the receiver.
local function redact(text, rest)
  local parts = {}
  for part in rest:gmatch("[^/?&=]+") do
    parts[#parts + 1] = part
    parts[#parts + 1] = unescape(part)
    for piece in unescape(part):gmatch("[^:]+") do parts[#parts + 1] = piece end
  end
  table.sort(parts, function(a, b) return #a > #b end)
  for _, part in ipairs(parts) do
    if #part >= 4 then text = text:gsub(part:gsub("%p", "%%%0"), "***") end
  end
  return text
end

-- The receiver's reason for a refusal, if it is readable text.
local function reason(answer, rest)
  local ok, body = pcall(answer.json, answer)
  local text = ok and type(body) == "table" and (body.description or body.message or body.error)
    or answer.body
  if type(text) ~= "string" or not text:find("^[%w%p ]+$") or #text > 200 or text:find("<", 1,
    true) then
    return ""
  end
  return ": " .. redact(text, rest)
end

local function fail(kind, message, ...)
  core.error.raise{
    kind = kind, status = message.status,
    message = ("px.notify, %s: "):format(message.place) .. (...):format(select(2, ...)),
  }
end

local whys = { timeout = "no response in time", protocol = "the response cannot be read" }

-- The response of px.http; or nil and the reason. The error's message is left out, since it
-- contains the URL.
local function post(message, url, body)
  local answer, err = require("proxylua.util.errors").try(core.http.post, url, {
    json = body, redirects = 0, timeout = message.timeout, max_body = 1 << 20,
  })
  if answer then return answer end
  if err.kind == "cancelled" then error(err, 0) end
  if err.kind == "usage" then names.usage("px.notify: the URL is not valid") end
  return nil, err.kind
end

local function is_passing(answer)
  return not answer or answer.status == 429 or answer.status >= 500
end

-- Seconds until the next attempt: as the receiver asked, or random with a doubling maximum, since
-- other clients failed at the same time.
local function pause_before(attempt, answer)
  local asked = answer and tonumber(answer.headers["retry-after"]) or 0
  return math.min(math.max(asked, math.random() * FIRST_PAUSE * 2 ^ (attempt - 1)), MAX_PAUSE)
end

local function judge(message, answer, kind)
  if not answer then
    fail(kind, message, "%s", whys[kind] or "cannot connect")
  end
  message.status = answer.status
  if answer.status >= 300 and answer.status < 400 then
    fail("invalid", message,
      "the receiver redirects (HTTP %d); use its new URL", answer.status)
  elseif not answer.ok then
    local passing = answer.status == 429 and "rate_limited" or answer.status >= 500 and "upstream"
    fail(passing or "invalid", message, "the receiver refused the message (HTTP %d)%s",
      answer.status, reason(answer, message.rest))
  end
end

local function deliver(message, url, body)
  for attempt = 1, ATTEMPTS do
    local answer, kind = post(message, url, body)
    if not is_passing(answer) or attempt == ATTEMPTS then return judge(message, answer, kind) end
    core.task.sleep(pause_before(attempt, answer))
  end
end

local notify_options = declare("px.notify", {
  { "text", "string", "the message", required = true, utf8 = true,
    expected = "UTF-8 and not empty" },
  { "url", "string", "receiver, https or loopback", empty = true, usual = "what the environment "
    .. "has in PROXYLUA_NOTIFY_URL" },
  { "kind", "choice", "kind of the receiver", values = { "json", "slack", "discord", "telegram" },
    usual = "by the host of the URL" },
  { "chat", {
    read = function(value)
      return (type(value) == "string" or math.tointeger(value)) and value or nil
    end, expected = "the id or the @name of a chat", doc = "string or integer",
    meta = "string|integer",
  }, "chat of Telegram, or `?chat_id=` in the URL, which is https://api.telegram.org/bot and the "
    .. "bot's token" },
  { "timeout", "duration", "for an attempt", min = 0.001, max = 86400, default = "30s" },
})

--- Checks a message completely, and sends nothing.
-- @param params as for px.notify
-- @return kind
-- @return message; the URL and the body to send
-- @raise usage
function M.prepare(given)
  local params = notify_options(given)
  local url = params.url or os.getenv("PROXYLUA_NOTIFY_URL")
  if url == nil or url == "" then
    names.usage("px.notify: url is missing; pass it, or set PROXYLUA_NOTIFY_URL")
  end
  local place, _, rest = take_apart(url)
  local message = {
    url = url, place = place, rest = rest, text = params.text, chat = params.chat,
      timeout = params.timeout,
  }
  local kind = params.kind or M.kind_of(url)
  return kind, message, kinds[kind](message)
end

--- Sends a message to Slack, Discord, Telegram, or any server that takes `{"text": …}`. The URL's
-- host decides which, or `kind`. After no connection, no response, a 429 or a 5xx it tries again,
-- up to three attempts. So a message may arrive twice if a response is lost. Errors show the host
-- only: the rest of the URL is a secret.
-- @function px.notify
-- @param params
-- @treturn string the kind
-- @raise usage; network, timeout, upstream, rate_limited; invalid, when the receiver refuses
-- @usage local _, err = px.try(px.notify, { url = px.sandbox().url .. "/hook/s3cret",
--   text = "10 proxies bought" })
-- print(err.kind, err.status, err.message:find("s3cret"))  --> invalid  401  nil
function M.notify(params)
  local kind, message, url, body = M.prepare(params)
  deliver(message, url, body)
  return kind
end

return M
