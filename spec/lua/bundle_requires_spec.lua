-- lua/proxylua/bundle/requires.lua: finds what a text requires, without comments and
-- strings that only look like it.

local requires = require "proxylua.bundle.requires"

-- "line:name" of each, with a ? where its absence may be meant, * where the name is unknown.
local function found(text)
  assert(load(text))
  local list = {}
  for at, need in ipairs(requires.find(text)) do
    list[at] = ("%d:%s%s"):format(need.line, need.name or "*", need.optional and "?" or "")
  end
  return table.concat(list, " ")
end

describe("what a script requires", function()
  for text, expected in pairs{
    ["require 'a.b'"] = "1:a.b",
    ['require "a"'] = "1:a",
    ["require[[a]]"] = "1:a",
    ["local x = require('a').y"] = "1:a",
    ["\n\nrequire -- why\n ( --[[ here ]] 'a' )"] = "3:a",
    ["require 'a\\46b'"] = "1:a.b",
    ["local ok, a = pcall(require, 'a')"] = "1:a?",
    ["return require('a' .. x)"] = "1:*",
    ["return require(name)"] = "1:*",
    ["require 'a'\nrequire 'b' require 'c'\n\n\nrequire 'd'"] = "1:a 2:b 2:c 5:d",
    ["-- require 'a'\n--[[ require 'b' ]] local s = \"require 'c'\" .. [[ require 'd' ]]"] = "",
    ["x.require 'a' x:require 'b'"] = "",
    ["local function require(x) end"] = "",
    ["local load = require"] = "",
    ["required 'a'"] = "",
    ["local a <const> = 'require' .. 'a'"] = "",
  } do
    it("is seen in " .. text:gsub("\n", " / "), function() assert.are.equal(expected,
      found(text)) end)
  end
end)
