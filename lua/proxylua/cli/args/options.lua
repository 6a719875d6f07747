-- The global options, as one table. Before a script's name a scanner reads them; for a command its
-- parser does, so that they may stand before and after it.

local names = require "proxylua.util.names"

local M = {}

local function profiles()
  return require("proxylua.settings").profiles()
end

-- value: placeholder of its argument; short: its one letter; many: may be repeated; script: for
-- scripts only; suggest: completion of its value
M.rows = {
  { "sandbox", summary = "use the emulated API, with money that is not real" },
  { "profile", value = "NAME", suggest = profiles,
    summary = "use the settings of this profile of the config file" },
  { "base-url", value = "URL", summary = "address of the API" },
  { "store", value = "LOCATION", suggest = "files",
    summary = "file or postgres:// URL of the rate limits and the journal" },
  { "spend", value = "AMOUNT",
    summary = "what this run may spend (default: see proxylua help money)" },
  { "dry-run", summary = "buy nothing; print what would be bought" },
  { "limits", value = "LIMITS", suggest = { "general=60/60,orders=10/60", "off" },
    summary = "requests/seconds of each rate limit, such as general=60/60,orders=10/60, or off" },
  { "timeout", value = "DURATION", summary = "time for one HTTP request (default: 30s)" },
  { "lock", value = "NAME",
    summary = "exit with code 75 if another run holds this lock" },
  { "trace", value = "FILE", suggest = "files",
    summary = "append a line for each HTTP request, without the key" },
  { "json", summary = "print one JSON value" },
  { "jsonl", summary = "print one JSON value a line, each as soon as it arrives" },
  { "quiet", short = "q", summary = "print errors only" },
  { "verbose", short = "v", summary = "report waits, retries and px.log.debug" },
  { "log-format", value = "FORMAT", suggest = { "text", "json" },
    values = { text = true, json = true },
    summary = "messages of px.log as text (default), or json: an object a line" },
  { "no-color", summary = "no colours" },
  { "execute", short = "e", value = "CODE", many = true, script = true,
    summary = "run this code; may be repeated" },
  { "help", short = "h", script = true, summary = "show help" },
  { "version", short = "V", script = true, summary = "show the version" },
}

-- For bundles only.
local bundled = { info = true, licences = true }

local by_name = {}
for _, row in ipairs(M.rows) do
  by_name["--" .. row[1]] = row
  if row.short then by_name["-" .. row.short] = row end
end

--- The name of the flag that an option sets.
function M.key(row)
  return (row[1]:gsub("-", "_"))
end

--- Whether a global option has this name, without the "--".
function M.has(name)
  return by_name["--" .. name] ~= nil
end

--- "-q, --quiet"
function M.label(row)
  local label = "--" .. row[1] .. (row.value and " " .. row.value or "")
  return row.short and ("-%s, %s"):format(row.short, label) or label
end

local function set(flags, row, value)
  local key = M.key(row)
  if row.values and not row.values[value] then
    names.usage("--%s must be %s, got %s%s", row[1], table.concat(row.suggest, " or "), value,
      names.hint(value, row.values))
  end
  if not row.many then
    flags[key] = value
    return
  end
  flags[key] = flags[key] or {}
  table.insert(flags[key], value)
end

local function unknown(name)
  names.usage("unknown option %s%s; proxylua help options lists them", name,
    names.hint(name, by_name))
end

-- --name=value, -eCODE
local function split(word)
  if word:find("^%-%-") then
    local name, value = word:match("^([^=]+)=(.*)$")
    return name or word, value
  end
  local row = by_name[word:sub(1, 2)]
  if #word > 2 and row and row.value then return word:sub(1, 2), word:sub(3) end
  return word
end

-- Returns the number of words that the option took.
local function take(flags, word, following)
  local name, value = split(word)
  local row = by_name[name] or unknown(name)
  if not row.value then
    if value then names.usage("%s takes no value", name) end
    set(flags, row, true)
    return 1
  end
  if value == nil and following == nil then names.usage("%s needs its %s", name, row.value) end
  set(flags, row, value or following)
  return value and 1 or 2
end

--- Reads the options at the front of the command line, up to the first other word, or "--".
-- @param words list of arguments
-- @return table of flags: true, a text, or a list of texts
-- @return list of the words that follow
-- @return whether "--" ended the options: then a script follows
-- @raise usage
function M.scan(words)
  local flags, at = {}, 1
  while words[at] and words[at] ~= "-" and words[at] ~= "--" and words[at]:find("^%-") do
    at = at + take(flags, words[at], words[at + 1])
  end
  local ended = words[at] == "--"
  return flags, table.move(words, ended and at + 1 or at, #words, 1, {}), ended
end

--- Reads the options of a bundle, as M.scan does. All of them begin with a prefix; the first word
-- without it ends them.
-- @param prefix such as "--proxylua-"
-- @return table of flags, and the list of the words that follow
-- @raise usage
function M.scan_prefixed(words, prefix)
  local flags, at = {}, 1
  while words[at] and words[at]:sub(1, #prefix) == prefix do
    local name = words[at]:sub(#prefix + 1)
    if bundled[name] then
      flags[name] = true
      at = at + 1
    elseif not by_name[(split("--" .. name))] then
      names.usage("unknown option %s; %shelp lists them", words[at], prefix)
    else
      at = at + take(flags, "--" .. name, words[at + 1])
    end
  end
  return flags, table.move(words, at, #words, 1, {})
end

--- Adds the options to a command's parser, hidden from its help.
-- @param flags table that they set
function M.add_to(parser, flags)
  for _, row in ipairs(M.rows) do
    if not row.script then
      local label = (row.short and "-" .. row.short .. " " or "") .. "--" .. row[1]
      local option = row.value and parser:option(label) or parser:flag(label)
      option:hidden(true):target("global options")
      option:action(function(_, _, value) set(flags, row, row.value and value or true) end)
    end
  end
end

return M
