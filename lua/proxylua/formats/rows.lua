-- Rows of columns that are not CSV: fields between tabs, and words between blanks.

local M = {}

--- The fields of what the program writes into a pipe, and their number: nothing is quoted, and
-- blanks belong to the fields.
function M.split_raw(line)
  local list, count = {}, 0
  for value in (line .. "\t"):gmatch("([^\t]*)\t") do
    count = count + 1
    list[count] = value
  end
  return list, count
end

--- The same of words between blanks.
function M.split_words(line)
  local list, count = {}, 0
  for value in line:gmatch("%S+") do
    count = count + 1
    list[count] = value
  end
  return list, count
end

return M
