-- Writes the reference as a Lua file of comments that ldoc reads.
--   build/proxylua tools/doc.lua >OUTPUT

local reference = require "proxylua.help.reference"

local lines = { [[
--- What scripts can call: <code>local px = require "proxylua"</code>. Calls answer their result or raise an error value (see
-- px.error.is), and wait without holding up the other tasks. In the examples px is the module, and order an order whose
-- proxies are in proxies.
-- @module px]] }

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

-- ldoc passes HTML on.
local function html(text)
  return (text:gsub("[&<>]", entities):gsub("`([^`]*)`", "<code>%1</code>"))
end

-- "px.orders.create" -> "px.orders", "task:join" -> "task"
local function group_of(name)
  return name:match("^(px%.%l+)%.") or name:match("^(%l+):") or "px"
end

-- ldoc takes a dot in a parameter's name for a field of the one before, which has to be a table.
local function put_params(entry)
  for _, param in ipairs(entry.params) do
    local kind = param.text:find("^table") and "tparam table " or "param "
    lines[#lines + 1] = ("-- @%s%s %s"):format(kind, param.name, html(param.text))
  end
end

local function put_tags(tag, texts)
  for _, text in ipairs(texts) do lines[#lines + 1] = ("-- @%s %s"):format(tag, html(text)) end
end

local function put_entry(entry)
  lines[#lines + 1] = "\n--- " .. html(entry.text)
  lines[#lines + 1] = ("-- @%s %s"):format(entry.is_field and "field" or "function", entry.name)
  put_params(entry)
  put_tags("return", entry.returns)
  put_tags("raise", entry.raises)
  lines[#lines + 1] = "-- @usage " .. entry.usage:gsub("\n", "\n-- ")
end

local groups, order = {}, {}
for _, entry in ipairs(reference.all()) do
  local group = group_of(entry.name)
  if not groups[group] then
    groups[group] = {}
    order[#order + 1] = group
  end
  table.insert(groups[group], entry)
end
table.sort(order)

for _, group in ipairs(order) do
  lines[#lines + 1] = "\n--- " .. group .. "\n-- @section " .. group
  for _, entry in ipairs(groups[group]) do put_entry(entry) end
end
io.write(table.concat(lines, "\n"), "\n")
