-- Countries by their codes. A country in another form, such as its name, cannot be compared.

--- Reads the code of a country.
-- @param value anything
-- @return string of two capital letters; nil if it is not a code
return function(value)
  return type(value) == "string" and value:find("^%a%a$") and value:upper() or nil
end
