-- Completion of a command line, from the parsers that read it. Uses no network.

local commands = require "proxylua.cli.commands"
local options = require "proxylua.cli.args.options"
local parsers = require "proxylua.cli.args.parser"

local M = {}

-- The global options, in the form of a parser's own.
local function global_options()
  local list = {}
  for _, row in ipairs(options.rows) do
    list[#list + 1] = {
      names = { "--" .. row[1], row.short and "-" .. row.short }, value = row.value,
        summary = row.summary,
      suggest = row.suggest, script = row.script,
    }
  end
  return list
end

local function find_option(list, word)
  for _, option in ipairs(list) do
    for _, name in ipairs(option.names) do
      if name == word then return option end
    end
  end
  return nil
end

-- Reads the words before the cursor. Returns the option whose value comes next, nil for none.
local function walk(place, words, last)
  local waiting
  for at = 1, last do
    local word = words[at]
    if waiting then
      waiting = nil
    elseif word:find("^%-.") and not place.literal then
      if word == "--" then place.literal = true end
      local option = find_option(place.options, word)
      waiting = option and option.value and option or nil
    else
      place:take(word)
    end
  end
  return waiting
end

local Place = {}
Place.__index = Place

-- A command puts its own options before the global ones, and takes none that are for scripts only.
local function enter(place, description)
  local all = {}
  for _, option in ipairs(description.options) do
    if not option.hidden then all[#all + 1] = option end
  end
  for _, option in ipairs(place.options) do
    if not option.script then all[#all + 1] = option end
  end
  place.description, place.taken, place.options = description, {}, all
end

local function enter_command(place, name)
  local command = commands.find(name)
  if not command then
    place.script = true
    return
  end
  enter(place, parsers.describe(parsers.build(name, command, {})))
end

local function find_sub_command(description, word)
  for _, command in ipairs(description.commands) do
    if command.name == word then return command end
  end
  return nil
end

-- Takes a word that is not an option.
function Place:take(word)
  if self.script then return end
  if not self.description then return enter_command(self, word) end
  local sub = find_sub_command(self.description, word)
  if sub then return enter(self, sub) end
  self.taken[#self.taken + 1] = word
end

local function add(found, text, summary)
  found[#found + 1] = { text = text, summary = summary }
end

-- A function gets the command's words before the cursor that are not options.
local function add_suggested(found, suggest, taken)
  if type(suggest) == "function" then
    local ok, list = pcall(suggest, taken)
    suggest = ok and list or nil
  end
  if suggest == "files" then
    found.files = true
  else
    for _, text in ipairs(suggest or {}) do add(found, text) end
  end
end

local function add_options(found, place)
  local seen = {}
  for _, option in ipairs(place.options) do
    for _, name in ipairs(option.names) do
      if name:find("^%-%-") and not seen[name] then
        seen[name] = true
        add(found, name, option.summary)
      end
    end
  end
end

local function add_commands(found)
  for _, name in ipairs(commands.names()) do add(found, name, commands.summary(name)) end
  found.files = true -- scripts
end

local function add_words(found, place)
  if place.script then
    found.files = true
  elseif not place.description then
    add_commands(found)
  elseif #place.description.commands > 0 then
    for _, command in ipairs(place.description.commands) do
      add(found, command.name, command.summary)
    end
  else
    local list = place.description.arguments
    local argument = list[#place.taken + 1] or (#list > 0 and list[#list].many and list[#list])
    if argument then add_suggested(found, argument.suggest, place.taken) end
  end
end

local function starting_with(found, start)
  local list = { files = found.files }
  for _, item in ipairs(found) do
    if item.text:sub(1, #start) == start then list[#list + 1] = item end
  end
  return list
end

-- --name=value
local function complete_glued(place, name, value)
  local option, found = find_option(place.options, name), {}
  add_suggested(found, option and option.suggest)
  found = starting_with(found, value)
  for _, item in ipairs(found) do item.text = name .. "=" .. item.text end
  return found
end

--- Candidates for the last word.
-- @param words list: those after the program's name, up to the one under the cursor, which may be
--   empty
-- @return list of tables: text, summary; its field `files` is true if file names are possible too
function M.complete(words)
  local current, found = words[#words] or "", {}
  local place = setmetatable({ options = global_options() }, Place)
  local waiting = walk(place, words, #words - 1)
  local name, value = current:match("^(%-%-[^=]+)=(.*)$")
  if waiting then
    add_suggested(found, waiting.suggest)
  elseif place.script then
    found.files = true
  elseif name and not place.literal then
    return complete_glued(place, name, value)
  elseif current:find("^%-") and not place.literal then
    add_options(found, place)
  else
    add_words(found, place)
  end
  return starting_with(found, current)
end

return M
