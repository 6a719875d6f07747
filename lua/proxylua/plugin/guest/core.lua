-- proxylua.core as the program's own modules see it in a plugin's process: the functions in C, and
-- requests to the parent.

local scheduler = require "proxylua.plugin.guest.scheduler"

local M = {}

local ask = scheduler.ask

local api = {
  call = function(name, params) return ask("api", name, params) end,
  request = function(request) return ask("request", request) end,
  limits = function() return ask("limits") end,
}

local function make_http(core)
  local response = { __index = { json = function(answer)
    return core.json.decode(answer.body)
  end } }
  local http = { response = response }
  for _, method in ipairs{ "get", "head", "post", "put", "patch", "delete", "options" } do
    http[method] = function(url, options)
      return setmetatable(ask("http", method, url, options), response)
    end
  end
  return http
end

local Output = { __close = function() end }
Output.__index = Output

function Output:write(text)
  self[#self + 1] = text
end

function Output.close() end

function Output:commit()
  ask("write", self.path, table.concat(self))
end

local Input = {}
Input.__index = Input

function Input:read(count)
  local text = self.text:sub(self.at, self.at + count - 1)
  self.at = self.at + #text
  return text ~= "" and text or nil
end

function Input:close()
  self.text = ""
end

local file = {
  create = function(path) return setmetatable({ path = path }, Output) end,
  source = function(path)
    if path == "-" then return nil, "a plugin has no standard input" end
    return setmetatable({ text = ask("read", path), at = 1 }, Input)
  end,
}

--- Adds the requests to the functions in C.
-- @param core table, changed
function M.complete(core)
  core.task, core.api, core.http, core.file = scheduler, api, make_http(core), file
end

return M
