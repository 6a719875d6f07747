-- A report's rows as CSV: RFC 4180, a header, one line a row.

local csv = require "proxylua.util.csv"
local names = require "proxylua.util.names"
local sums = require "proxylua.report.totals"

local M = {}

local fields = { "name", "charges", "refunds", "spent", "transactions" }

local function quoted(value)
  local text = tostring(value)
  -- A spreadsheet would read these as formulas, and names come from outside.
  if type(value) == "string" and text:find("^[=+@\t\r-]") then text = "'" .. text end
  return csv.field(text, ",")
end

--- The requested groupings.
-- @param wanted list, or nil for all
-- @raise usage
function M.groupings(wanted)
  if wanted == nil then return sums.GROUPINGS end
  if type(wanted) ~= "table" then names.usage("groupings must be a list, got a %s",
    type(wanted)) end
  local known = {}
  for _, grouping in ipairs(sums.GROUPINGS) do known[grouping] = true end
  for _, grouping in ipairs(wanted) do
    if not known[grouping] then
      names.usage("unknown grouping %s%s; expected day, type, country or pool",
        tostring(grouping), names.hint(grouping, known))
    end
  end
  return wanted
end

--- The rows of groupings, each with its grouping in `by`.
function M.rows(report, wanted)
  local list = {}
  for _, grouping in ipairs(M.groupings(wanted)) do
    for _, row in ipairs(report.by[grouping]) do
      list[#list + 1] = { by = grouping, name = row.name, known = row.known, charges = row.charges,
        refunds = row.refunds, spent = row.spent, transactions = row.transactions }
    end
  end
  return list
end

--- The text.
function M.text(report, wanted)
  local lines = { "by," .. table.concat(fields, ",") }
  for _, row in ipairs(M.rows(report, wanted)) do
    local cells = { row.by }
    for _, field in ipairs(fields) do cells[#cells + 1] = quoted(row[field]) end
    lines[#lines + 1] = table.concat(cells, ",")
  end
  return table.concat(lines, "\r\n") .. "\r\n"
end

return M
