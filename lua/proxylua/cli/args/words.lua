-- Words that people type in the place of a command: short forms of a command, and words for which
-- there is none but a better place to go.

local core = require "proxylua.core"
local names = require "proxylua.util.names"

local M = {}

-- What a word is replaced by.
local short = {
  balance = { "account", "get" }, buy = { "orders", "create" }, ls = { "orders", "list" },
  list = { "orders", "list" }, login = { "auth", "login" }, logout = { "auth", "logout" },
  price = { "orders", "calc" }, quote = { "orders", "calc" }, whoami = { "auth", "status" },
}

-- What to use in place of a word that would need more to be a command.
local pointers = {
  proxies = "proxylua orders proxies ORDER shows those of an order, proxylua export writes all",
  cancel = "the API cannot cancel orders; an order ends at its expiry date",
  refund = "the API cannot refund orders; proxylua account transactions shows refunds",
  topup = "use proxylua deposit", pay = "use proxylua deposit",
  key = "use proxylua auth login, or proxylua auth status",
  setup = "use proxylua auth login", settings = "use proxylua config list",
  run = "use proxylua SCRIPT, without run", repl = "use proxylua without a command",
  shell = "use proxylua without a command",
  update = "install the new version as you installed this one",
}

-- Sub-commands as other programs call them.
local others = {
  ls = "list", all = "list", show = "get", info = "get", view = "get", buy = "create",
  new = "create", order = "create", price = "calc", quote = "calc", renew = "extend", rm = "remove",
  delete = "remove", add = "install", run = "apply", diff = "plan",
}

--- Replaces a short form by its command.
-- @param words list, the command line behind its options
-- @return list
function M.expand(words)
  local command = short[words[1]]
  if not command then return words end
  local list = table.move(command, 1, #command, 1, {})
  return table.move(words, 2, #words, #list + 1, list)
end

--- Whether a word stands for a command; plugins cannot have such a name.
function M.is_reserved(word)
  return short[word] ~= nil or word == "version"
end

-- "create" -> "use proxylua orders create"
local function endpoint_of(word)
  local found = {}
  for _, row in ipairs(core.endpoints()) do
    local group, name = row.name:match("^(.-)%.(.+)$")
    if name:gsub("_", "-") == word then
      found[#found + 1] = ("proxylua %s %s"):format(group, word)
    end
  end
  return #found > 0 and "use " .. table.concat(found, " or ") or nil
end

-- "cron" -> "use proxylua help cron"
local function topic_of(word)
  for _, topic in ipairs(require("proxylua.help").topics()) do
    if topic == word then return "use proxylua help " .. word end
  end
end

--- Refuses a word that is neither a command nor a script.
-- @param known table whose keys are the names of the commands
-- @raise usage
function M.refuse(word, known)
  local better = pointers[word] or endpoint_of(word) or topic_of(word)
  if better then names.usage("there is no command %s: %s", word, better) end
  names.usage("unknown command or script '%s'%s run proxylua help", word,
    names.hint(word, known, "%s", ";"))
end

--- The sub-command that is meant by another word.
-- @param known table whose keys are the names of the sub-commands
-- @return name, or nil
function M.sub_command(word, known)
  local meant = others[word]
  if meant and known[meant] then return meant end
  return names.nearest(word, known)
end

return M
