-- The workflows of the standard module. Each is loaded when a script first uses it, since most
-- scripts need none of them.

--- name of a field of px -> function that loads and returns its value
return {
  files = function() return require "proxylua.files" end,
  fleet = function() return require "proxylua.fleet" end,
  renew = function() return require("proxylua.fleet.renew").renew end,
  proxies = function() return require "proxylua.proxies" end,
  export = function() return require "proxylua.proxies.export" end,
  csv = function() return require "proxylua.csv" end,
  check = function() return require "proxylua.check" end,
  report = function() return require "proxylua.report" end,
  status = function() return require("proxylua.status").status end,
  qr = function() return require "proxylua.qr" end,
  log = function() return require("proxylua.log").functions end,
  pool = function() return require("proxylua.pool").new end,
  gateway = function() return require("proxylua.gateway").start end,
  alerts = function() return require("proxylua.alerts").look end,
  notify = function() return require("proxylua.notify").notify end,
}
