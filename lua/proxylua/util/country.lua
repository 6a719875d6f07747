-- Countries by their codes. One that is told otherwise, say by its name, cannot be compared with
-- any.

--- Reads the code of a country.
-- @param value anything
-- @return string of two capital letters; nil where it is no code
return function(value)
  return type(value) == "string" and value:find("^%a%a$") and value:upper() or nil
end
