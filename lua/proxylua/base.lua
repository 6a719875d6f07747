-- The functions of px that need neither the API nor files: the same in scripts and in plugins.

local core = require "proxylua.core"
local declare = require("proxylua.util.options").declare
local duration = require "proxylua.util.duration"
local errors = require "proxylua.util.errors"
local names = require "proxylua.util.names"
local retry = require "proxylua.util.retry"
local tasks = require "proxylua.tasks"
local time = require "proxylua.util.time"
local url = require "proxylua.util.url"

--- The SHA-256 of a text: for checksums and signatures.
-- @function px.sha256
-- @tparam string text
-- @treturn string of 64 hexadecimal digits in lower case
-- @raise usage
-- @usage print(px.sha256("abc"))
--   --> ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
local function sha256(text)
  if type(text) ~= "string" then names.usage("px.sha256 takes a text, got a %s", type(text)) end
  return core.digest.sha256(text)
end

local encode_options = declare("px.json.encode", {
  { "indent", "integer", "blanks a level; 0: all on one line", min = 0, max = 16, default = 0 },
  { "bytes", "choice", "escape writes bytes that are not UTF-8 as \\udc80 to \\udcff instead of "
    .. "refusing them", values = { "escape" } },
})

local function json()
  local encode, decode, array = core.json.encode, core.json.decode, core.json.array
  return {
    encode = function(value, options) return encode(value, options and encode_options(options)) end,
    decode = function(text) return decode(text) end,
    array = function(list) return array(list) end,
    null = core.json.null,
  }
end

--- A new table of them, for the fields that px adds.
return function()
  return {
    version = core.version, money = core.money, json = json(), try = errors.try,
    error = errors.functions(), time = time.time, date = time.date, duration = duration.duration,
    spawn = tasks.spawn, sleep = function(seconds) return core.task.sleep(seconds) end,
    all = tasks.all, map = tasks.map, timeout = tasks.timeout, every = tasks.every,
    retry = retry.retry, url = url, sha256 = sha256,
  }
end
