-- The functions of px that need neither the API nor files: the same in scripts and in plugins.

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local errors = require "proxylua.util.errors"
local retry = require "proxylua.util.retry"
local tasks = require "proxylua.tasks"
local time = require "proxylua.util.time"

--- A new table of them, for the fields that px adds.
return function()
  return {
    version = core.version, money = core.money, json = core.json, try = errors.try,
    error = errors.error, time = time.time, date = time.date, duration = duration.duration,
    spawn = tasks.spawn, sleep = tasks.sleep, all = tasks.all, map = tasks.map,
    timeout = tasks.timeout, every = tasks.every, retry = retry.retry,
  }
end
