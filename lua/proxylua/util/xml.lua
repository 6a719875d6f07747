-- Texts inside HTML, SVG and XML, also between quotes.

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
  ["'"] = "&#39;" }

local characters = {}
for character, entity in pairs(entities) do characters[entity] = character end

local M = {}

--- A text with the characters that have a meaning in markup as entities.
function M.escape(text)
  return (text:gsub("[&<>\"']", entities))
end

--- The text whose escaped form this is.
function M.unescape(text)
  return (text:gsub("&#?%w+;", characters))
end

return M
