-- The functions of px that need neither the API nor files: the same in scripts and in plugins.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local errors = require "proxylua.util.errors"
local names = require "proxylua.util.names"
local retry = require "proxylua.util.retry"
local tasks = require "proxylua.tasks"
local time = require "proxylua.util.time"
local url = require "proxylua.util.url"

--- The SHA-256 of a text: for checksums and signatures.
-- @function px.sha256
-- @param text string
-- @return string of 64 hexadecimal digits in lower case
-- @raise usage
-- @usage print(px.sha256("abc"))
--   --> ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
local function sha256(text)
  if type(text) ~= "string" then names.usage("px.sha256 takes a text, got a %s", type(text)) end
  return core.digest.sha256(text)
end

--- A new table of them, for the fields that px adds.
return function()
  return {
    version = core.version, money = core.money, json = core.json, try = errors.try,
    error = errors.error, time = time.time, date = time.date, duration = duration.duration,
    spawn = tasks.spawn, sleep = tasks.sleep, all = tasks.all, map = tasks.map,
    timeout = tasks.timeout, every = tasks.every, retry = retry.retry,
    url = url, sha256 = sha256,
  }
end
