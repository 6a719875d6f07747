--- Messages to where people read them: Slack, Discord, Telegram, or whatever takes JSON. The path
-- of such a URL is a secret, which no error tells.
-- @module px.notify

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"

local M = {}

local ATTEMPTS, FIRST_PAUSE, LONGEST_PAUSE = 3, 0.5, 30 -- seconds between two attempts, at most
local TIMEOUT = 30

local function is_loopback(host)
  if host == "localhost" or host:find("%.localhost$") or host == "[::1]" then return true end
  local octets = { host:match("^(127)%.(%d+)%.(%d+)%.(%d+)$") }
  for _, octet in ipairs(octets) do
    if tonumber(octet) > 255 or #octet > 3 then return false end
  end
  return #octets == 4
end

-- Scheme, host and port of a URL as they may be told, the host, and the rest. No message quotes
-- what it refuses.
local function take_apart(url)
  if type(url) ~= "string" or url:find("[^!-~]") or url:find("[\\#]") then
    names.usage("px.notify: the URL is a text without blanks, \\ and #")
  end
  local scheme, authority, rest = url:match("^(%a+)://([^/?]+)(.*)$")
  if not scheme then
    names.usage("px.notify: the URL is one such as https://hooks.slack.com/services/…")
  end
  if authority:find("@", 1, true) then
    names.usage("px.notify: the URL holds credentials, and would show them")
  end
  local host = authority:lower():gsub(":%d*$", "")
  scheme = scheme:lower()
  if scheme ~= "https" and not (scheme == "http" and is_loopback(host)) then
    names.usage("px.notify: %s://%s is neither https nor loopback, and what is told would travel "
      .. "in the open", scheme,
      authority)
  end
  return scheme .. "://" .. authority, host, rest
end

-- A text of at most so many characters (bytes, where it is not UTF-8).
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

-- Nobody is to be called by a name that is in a text.
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
    names.usage("px.notify: Telegram needs the chat: chat=, or ?chat_id= in the URL")
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

-- Takes every part of the URL's secret out of a text that others wrote.
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

-- Why the receiver refused, in its words, as far as they are words.
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

local whys = { timeout = "no answer came in time", protocol = "the answer cannot be read" }

-- An answer of px.http; or nil and why there is none, without the message of the error, which holds
-- the URL.
local function post(message, url, body)
  local answer, err = require("proxylua.util.errors").try(core.http.post, url, {
    json = body, redirects = 0, timeout = message.timeout, max_body = 1 << 20,
  })
  if answer then return answer end
  if err.kind == "cancelled" then error(err, 0) end
  if err.kind == "usage" then names.usage("px.notify: the URL cannot be read") end
  return nil, err.kind
end

local function is_passing(answer)
  return not answer or answer.status == 429 or answer.status >= 500
end

-- Seconds until the next attempt: what was asked for, or at random up to twice as long each time,
-- since others failed too.
local function pause_before(attempt, answer)
  local asked = answer and tonumber(answer.headers["retry-after"]) or 0
  return math.min(math.max(asked, math.random() * FIRST_PAUSE * 2 ^ (attempt - 1)), LONGEST_PAUSE)
end

local function judge(message, answer, kind)
  if not answer then
    fail(kind, message, "%s", whys[kind] or "it cannot be reached")
  end
  message.status = answer.status
  if answer.status >= 300 and answer.status < 400 then
    fail("invalid", message,
      "it answers that it has moved (HTTP %d): give the URL that it is at now", answer.status)
  elseif not answer.ok then
    local passing = answer.status == 429 and "rate_limited" or answer.status >= 500 and "upstream"
    fail(passing or "invalid", message, "it refused the message (HTTP %d)%s", answer.status,
      reason(answer, message.rest))
  end
end

local function deliver(message, url, body)
  for attempt = 1, ATTEMPTS do
    local answer, kind = post(message, url, body)
    if not is_passing(answer) or attempt == ATTEMPTS then return judge(message, answer, kind) end
    core.task.sleep(pause_before(attempt, answer))
  end
end

local known = { url = true, text = true, kind = true, chat = true, timeout = true }

local function check(params)
  if type(params) ~= "table" then
    names.usage("px.notify takes its parameters as a table, got a %s", type(params))
  end
  names.check("px.notify", params, known)
  if type(params.text) ~= "string" or params.text == "" or not utf8.len(params.text) then
    names.usage("px.notify: the text is a text of UTF-8, and not empty")
  end
  if params.kind ~= nil and not kinds[params.kind] then
    names.usage("px.notify: the kind is json, slack, discord or telegram, got %s",
      tostring(params.kind))
  end
  if params.chat ~= nil and type(params.chat) ~= "string" and not math.tointeger(params.chat) then
    names.usage("px.notify: the chat is its id, or its @name")
  end
  local timeout = duration.seconds(params.timeout or TIMEOUT, "px.notify: timeout")
  if not (timeout >= 0.001 and timeout <= 86400) then
    names.usage("px.notify: timeout must be from 1ms to 86400s, got %s", tostring(params.timeout))
  end
end

--- Checks a message to the last, and sends nothing.
-- @param params as px.notify has them
-- @return kind
-- @return message; the URL and the body that it is sent as
-- @raise usage
function M.prepare(params)
  check(params)
  local url = params.url or os.getenv("PROXYLUA_NOTIFY_URL")
  if url == nil or url == "" then
    names.usage("px.notify: the url is missing, and PROXYLUA_NOTIFY_URL is not set")
  end
  local place, _, rest = take_apart(url)
  local message = {
    url = url, place = place, rest = rest, text = params.text, chat = params.chat,
      timeout = duration.seconds(params.timeout or TIMEOUT, "px.notify: timeout"),
  }
  local kind = params.kind or M.kind_of(url)
  return kind, message, kinds[kind](message)
end

--- Sends a message to Slack, Discord, Telegram, or to whatever takes `{"text": …}`; the URL's host
-- tells which, or `kind`. What passes (no connection, no answer, 429, 5xx) is tried again, three
-- times in all; so a message may come twice, should an answer be lost. Errors tell the host alone:
-- the rest of the URL is a secret.
-- @function px.notify
-- @param params table: `text`; `url`, https or loopback (left out: what the environment has in
--   PROXYLUA_NOTIFY_URL); `kind`: "json", "slack", "discord" or "telegram"; `chat`, of Telegram (or
--   `?chat_id=` in the URL, which is https://api.telegram.org/bot and the bot's token); `timeout`
--   for an attempt, seconds or a duration such as "5s" (30)
-- @return the kind
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
