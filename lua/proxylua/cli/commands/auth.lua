-- `proxylua auth`: the API key of this user. Lua never sees the key; C reads it, uses it and writes
-- its file.

local config = require "proxylua.settings"
local core = require "proxylua.core"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local prepare = require "proxylua.cli.context"
local saved = require "proxylua.cli.saved_settings"

local M = { bare = true }

local EMPTY <const> = 12 -- exit code: nothing where something was expected

function M.parser(parser)
  parser:require_command(true):command_target("action")
  local login = parsers.command(parser, "login",
    "ask for the API key, or read it from standard input; check it, and save it", "auth login")
  login:option("--limit", "save what one run may spend without a question (spend.per_run)"):argname(
    "AMOUNT")
  parsers.command(parser, "status", "show where the key is from, whose it is, and the balance",
    "auth status")
  parsers.command(parser, "logout", "remove the file with the key", "auth logout")
  parsers.example(parser, "auth login", "auth login --limit 25 <key.txt",
    "--profile work auth login", "auth status")
end

local function row_of(name)
  for _, row in ipairs(config.rows) do
    if row[1] == name then return row end
  end
end

-- --- login ---

-- A profile gets a file of its own, unless it names one.
local function key_path(settings, sources, profile)
  local from = sources.api_key_file
  local is_own = from and (not profile or from:find(("profiles.%s."):format(profile), 1, true))
  if is_own then return settings.api_key_file, true end
  return saved.folder() .. "/key" .. (profile and "-" .. profile or ""), false
end

local function refuse_sandbox(flags)
  if flags.sandbox then names.usage("the sandbox has its own key; leave out --sandbox") end
end

local function check_place(flags, settings, sources)
  refuse_sandbox(flags)
  if flags.profile and not flags.profile:find("^[%w_-]+$") then
    names.usage("--profile must be a name of letters, digits, - and _, got %s", flags.profile)
  end
  if settings.api_key_command then
    core.error.raise{ kind = "config", message = ("%s is set and prints the key; remove it to keep "
      .. "the key in a file"):format(sources.api_key_command) }
  end
end

-- The account of the key; nothing is saved of a key that the API refuses.
local function account_of(settings)
  core.api.configure(settings)
  local ok, account = pcall(core.api.call, "account.get", {})
  if ok then return account end
  if core.error.is(account) and account.kind == "auth" then
    core.error.raise{ kind = "auth", message = ("%s did not accept this key%s; nothing was saved. "
      .. "Copy the whole key from the dashboard and run proxylua auth login again"):format(
      settings.base_url, account.code and (" (%s)"):format(account.code) or "") }
  end
  if core.error.is(account) then
    account.message = account.message .. "; the key was not saved"
  end
  error(account, 0)
end

local function check_limit(text)
  local value, why = config.check_text(row_of("spend.per_run"), text)
  if value then return text end
  return nil, why
end

local function ask_limit(screen)
  while true do
    io.stderr:write("Amount that one run may spend without a question (Enter: always ask): ")
    local line = (io.read("l") or ""):match("^%s*(.-)%s*$")
    if line == "" then return nil end
    local amount, why = check_limit(line)
    if amount then return amount end
    screen:note("the limit %s", why)
  end
end

local function limit_of(args, screen, settings)
  if args.limit then return args.limit end
  local can_ask = core.system.isatty(0) and core.system.isatty(2)
  if not can_ask or settings.spend and settings.spend.per_run then return nil end
  return ask_limit(screen)
end

local actions = {}

function actions.login(args, context)
  local flags, screen = context.flags, context.screen
  local settings, sources = config.read(flags, { new_profile = true })
  check_place(flags, settings, sources)
  if args.limit then
    local _, why = check_limit(args.limit)
    if why then names.usage("--limit %s", why) end
  end
  local has_other = core.login.is_in_environment()
  local path, is_named = key_path(settings, sources, flags.profile)
  core.login.read("API key, as the dashboard shows it (not echoed): ")
  local account = account_of(settings)
  core.login.save(path)
  if not is_named then saved.set(flags.profile, "api_key_file", path) end
  screen:note("the key of %s is saved in %s; balance %s", account.email or "this account", path,
    account.balance or "unknown")
  local limit = limit_of(args, screen, settings)
  if limit then
    saved.set(flags.profile, "spend.per_run", limit)
    screen:note("one run may spend %s; proxylua config set spend.per_run changes it", limit)
  end
  if has_other then
    screen:note("PROXYLUA_API_KEY is set too, and takes precedence over the file; unset it")
  end
end

-- --- status ---

local places = { sandbox = "the sandbox", environment = "PROXYLUA_API_KEY",
  command = "api_key_command" }

local function spend_text(settings)
  local spend, parts = settings.spend or {}, {}
  for _, name in ipairs{ "per_run", "per_day", "per_order" } do
    if spend[name] then
      parts[#parts + 1] = ("%s %s"):format(tostring(spend[name]), name:gsub("_", " "))
    end
  end
  return #parts > 0 and table.concat(parts, ", ") or "after a question"
end

function actions.status(_, context)
  local settings = prepare.settings(context.flags)
  core.api.configure(settings)
  local source = core.doctor.key()
  local account = core.api.call("account.get", {})
  context.screen:record("auth", {
    api = settings.sandbox and "sandbox" or settings.base_url, profile = context.flags.profile,
    key = places[source] or settings.api_key_file, account = account.email,
    balance = account.balance, spend = spend_text(settings),
  })
end

-- --- logout ---

function actions.logout(_, context)
  local flags, screen = context.flags, context.screen
  refuse_sandbox(flags)
  local settings, sources = config.read(flags)
  local path = settings.api_key_file
  if path and core.system.kind(path) == "file" then
    local removed, why = os.remove(path)
    if not removed then core.error.raise{ kind = "store", message = "cannot remove " .. why } end
    screen:note("removed the key: %s", path)
  else
    screen:note("there is no file with a key")
    core.system.set_exit_code(EMPTY)
  end
  if path and sources.api_key_file:find(config.set_path(), 1, true) == 1 then
    saved.set(flags.profile, "api_key_file", nil)
  end
  if core.login.is_in_environment() then screen:note("PROXYLUA_API_KEY is still set") end
  if settings.api_key_command then
    screen:note("%s still prints a key", sources.api_key_command)
  end
end

function M.run(args, context)
  actions[args.action](args, context)
end

return M
