-- The crash harness: an emulated API in a process of its own, several clients at once on one store,
-- faults, kills, and at the end the question whether everything was bought once, paid once and
-- written down.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}

--- The program whose steps can be made to end it, beside the one that runs this.
M.path = program.path:gsub("/proxylua$", "/crash/proxylua")

--- The named steps of a charge, as the sources have them.
function M.steps()
  local pipe, steps = assert(io.popen("grep -hoE 'crash_point\\(\"[a-z-]+\"\\)' src/charge/*.c")),
    {}
  for name in pipe:read("a"):gmatch('"(.-)"') do steps[#steps + 1] = name end
  pipe:close()
  return steps
end

--- The key that an order was bought with: attempts after a refusal add a number to it.
function M.key_of(order)
  return order.key and (order.key:gsub("%.%d+$", ""))
end

--- Two keys of one account.
M.keys = { "sk_sandbox_first", "sk_sandbox_second" }

-- --- the emulated API ---

local Server = {}
Server.__index = Server

--- Starts the emulated API as a process of its own.
-- @param arguments list, of `proxylua sandbox`
-- @return server, with the fields url, key and pid, and methods
function M.server(arguments)
  local folder = program.folder()
  local all = { "--json", "sandbox", "--quiet", "--limits", "off", "--balance", "1000000" }
  table.move(arguments or {}, 1, #(arguments or {}), #all + 1, all)
  local pipe = assert(io.popen("echo $$; exec " .. program.command(folder, all)))
  local pid = tonumber(pipe:read("l"))
  local self = setmetatable(core.json.decode(pipe:read("l")), Server)
  self.pid, self.pipe, self.folder = pid, pipe, folder
  return self
end

local function admin(server, method, name, body)
  local answer = core.http[method](server.admin_url .. "/" .. name, {
    headers = { ["X-Sandbox-Key"] = server.key }, json = body, timeout = 30,
  })
  assert(answer.ok, answer.body)
  return answer:json()
end

function Server:look(name) return admin(self, "get", name) end

function Server:change(name, body) return admin(self, "post", name, body) end

function Server:faults(...)
  self:change("settings", { faults = core.json.array{ ... } })
end

function Server:stop()
  os.execute(("kill %d"):format(self.pid))
  self.pipe:close()
  program.remove(self.folder)
end

-- --- one client ---

local Client = {}
Client.__index = Client

-- Says in JSON what came of one charge, and ends as a script does that lets its error pass.
local script = [[
local px = require "proxylua"
local wanted = px.json.decode(arg[1])
local id, within, after = wanted.id, tonumber(wanted.within), tonumber(wanted.after)
wanted.id, wanted.within, wanted.after = nil, nil, nil
local function charge()
  if id then return px.orders.extend(id, wanted) end
  return px.orders.create(wanted)
end
local function cancelled()
  local task = px.spawn(charge)
  px.sleep(after)
  task:cancel()
  return task:join()
end
local order, err
if after then
  order, err = px.try(cancelled)
elseif within then
  order, err = px.try(px.timeout, within, charge)
else
  order, err = px.try(charge)
end
print(px.json.encode{ id = order and order.id, kind = err and err.kind, charge = err and err.charge,
  message = err and err.message })
if err then error(err, 0) end
]]

--- Starts a process that makes one charge.
-- @param server of M.server
-- @param store location
-- @param wanted parameters of an order, or of the extension of the order `id`; with its key;
--   `within` (seconds of a px.timeout around it) or `after` (seconds until its task is cancelled)
-- @param env table of variables, may be left out: PROXYLUA_CRASH among them
-- @param machine name of the machine that it is to believe itself on, may be left out
-- @return client, with the field pid, and methods
function M.start(server, store, wanted, env, machine)
  local self = setmetatable({ folder = program.folder() }, Client)
  local all = { PROXYLUA_BASE_URL = server.url, PROXYLUA_API_KEY = server.key,
    PROXYLUA_STORE = store,
    PROXYLUA_LIMITS = "off", PROXYLUA_SPEND = "1000", PROXYLUA_TIMEOUT = "20s",
      PROXYLUA_SETTLE = "0.5s" }
  for name, value in pairs(env or {}) do all[name] = value end
  local line = program.command(self.folder, { "-", core.json.encode(wanted) }, all, M.path)
  if machine then
    line = ("unshare --uts sh -c %s"):format(program.quote(("hostname %s; exec %s"):format(machine,
      line)))
  end
  local base = self.folder .. "/"
  program.write(base .. "in", script)
  local frame =
    "{ %s <%sin >%sout 2>%serr & echo $! >%spid; wait $!; echo $? >%scode; } 2>/dev/null &"
  os.execute(frame:format(line, base, base, base, base, base))
  self.pid = tonumber(self:await("pid"))
  return self
end

function Client:await(name)
  local path = self.folder .. "/" .. name
  local text
  repeat
    core.task.sleep(0.005)
    text = core.system.kind(path) and program.read(path)
  until text and text:find("\n", 1, true)
  return text
end

function Client:has_ended()
  return core.system.kind(self.folder .. "/code") ~= nil
end

--- Waits until it has stopped at its step. False when it ended before.
function Client:stopped()
  while not self:has_ended() do
    local file = io.open(("/proc/%d/stat"):format(self.pid))
    local state = file and file:read("a"):match("^.*%) (%a)")
    if file then file:close() end
    if state == "T" then return true end
    core.task.sleep(0.005)
  end
  return false
end

function Client:signal(name)
  os.execute(("kill -%s %d 2>/dev/null"):format(name, self.pid))
end

--- Waits for its end.
-- @return table: code, err (text), and unless it was killed id, kind, charge, message
function Client:join()
  local code = tonumber(self:await("code"))
  local said = program.read(self.folder .. "/out"):match("({.*})\n$")
  local result = said and core.json.decode(said) or {}
  result.code, result.err = code, program.read(self.folder .. "/err")
  program.remove(self.folder)
  return result
end

--- Makes one charge and waits for its end.
function M.run(...)
  return M.start(...):join()
end

--- Does so until it is made, ten times at most.
function M.persist(...)
  local result
  for _ = 1, 10 do
    result = M.run(...)
    if result.code == 0 then break end
  end
  return result
end

-- --- faults ---

-- What goes wrong on the way to a charge and after it. A 429 and its `when` come last: a charge
-- that is refused is not made.
local charge_faults = {
  "cut=before,chance=0.04", "cut=after,chance=0.05", "status=502,when=before,chance=0.03",
  "status=502,when=after,chance=0.04", "html,when=before,chance=0.02",
    "html,when=after,chance=0.02",
  "truncate,chance=0.03", "empty,chance=0.02", "garbage,chance=0.02",
    "garbage,when=before,chance=0.01",
  "html,status=200,when=before,chance=0.01", "delay=2.5,chance=0.02", "hold=1-2.5,chance=0.02",
  "status=429,when=before,retry_after=1,chance=0.01",
}
local question_faults = {
  "cut=before,chance=0.02", "status=502,chance=0.02", "html,chance=0.01",
    "html,status=200,chance=0.01",
  "truncate,chance=0.02", "empty,chance=0.01", "garbage,chance=0.01", "delay=2.2,chance=0.005",
  "status=429,retry_after=1,chance=0.002",
}
local other_faults = {
  "orders.create:refund,chance=0.03", "orders.list:slow=0.4,chance=0.15",
    "account.transactions:slow=0.4,chance=0.15",
  "orders.list:omit=country+period,chance=0.1", "orders.list:omit=price+created_at,chance=0.05",
  "account.get:omit=email,chance=0.1", "account.transactions:omit=order_id,chance=0.05",
}

--- All faults of a storm.
function M.storm()
  local list = core.json.array{}
  local function add(endpoint, faults)
    for _, fault in ipairs(faults) do list[#list + 1] = endpoint .. ":" .. fault end
  end
  for _, fault in ipairs(other_faults) do list[#list + 1] = fault end
  for _, name in ipairs{ "account.get", "account.transactions", "orders.calc", "orders.list",
    "orders.get" } do
    add(name, question_faults)
  end
  add("orders.create", charge_faults)
  add("orders.extend", charge_faults)
  return list
end

-- --- intents ---

local types = { "isp", "datacenter", "mobile", "ipv6" }
local countries = { "US", "DE" }

-- Few kinds of orders, so that many are equal; some leave to the server what it fills in.
local function intents(lane, count, random)
  local list, number = {}, 0
  for at = 1, count do
    number = number + 1
    local intent = { key = ("lane%d-%d"):format(lane, number), type = types[random(#types)],
      quantity = random(2),
      period = random(3) > 1 and 30 or nil, country = countries[random(3)],
        extensions = core.json.array{} }
    for extension = 1, math.max(random(6) - 4, 0) do
      intent.extensions[extension] = { key = ("%s-more%d"):format(intent.key, extension),
        period = 30 }
    end
    list[at] = intent
  end
  return list
end

-- --- a storm ---

local Storm = {}
Storm.__index = Storm

--- Makes a storm ready.
-- @param options table: store (location), intents (number), processes, seed, per_day (a text),
--   per_run (a text), kills (how many runs of a process may be ended), path (of the program)
function M.open(options)
  local self = setmetatable({ options = options, folder = program.folder(), lanes = {},
    intents = {} }, Storm)
  math.randomseed(options.seed)
  self.server = M.server{ "--dialect", "mixed", "--key", M.keys[1], "--key", M.keys[2] }
  local shared
  for number = 1, options.processes do
    local list = intents(number, options.intents // options.processes, math.random)
    for _, intent in ipairs(list) do self.intents[#self.intents + 1] = intent end
    -- Some are wanted by two processes at once.
    if number % 2 == 1 then
      shared = { list[1], list[2] }
    else
      table.move(shared, 1, #shared, #list + 1, list)
    end
    self.lanes[number] = list
  end
  return self
end

function Storm:configure(per_day, per_run)
  local spend = ("return { max_wait = '20s', spend = { per_run = '%s', per_day = '%s' } }"):format(
    per_run or "1000000",
    per_day or "1000000")
  self.config = program.write(self.folder .. "/config.lua", spend)
end

-- The command of a process but for its last word, the seed. Every second one uses another key of
-- the account.
function Storm:command(number)
  local list = ("%s/%d.json"):format(self.folder, number)
  program.write(list, core.json.encode(core.json.array(self.lanes[number])))
  return program.command(self.folder,
    { "--limits", "off", core.system.real_path("spec/support/buyer.lua"), list }, {
    PROXYLUA_BASE_URL = self.server.url, PROXYLUA_STORE = self.options.store,
      PROXYLUA_CONFIG = self.config,
    PROXYLUA_API_KEY = M.keys[number % 2 + 1],
    PROXYLUA_TIMEOUT = "2s", PROXYLUA_SETTLE = "4s",
  }, self.options.path or M.path):gsub("^'env' '%-i'",
    "'env' '-i' PROXYLUA_CRASH=\"$PROXYLUA_CRASH\"")
end

local function add(total, more)
  for name, value in pairs(more) do
    if type(value) == "table" then
      total[name] = total[name] or {}
      add(total[name], value)
    elseif type(value) == "number" then
      total[name] = (total[name] or 0) + value
    end
  end
end
M.add = add

--- Lets all processes run until each has done what it can.
-- @return table of sums, and whether none gave up
function Storm:run(kills)
  local lines, total, done = {}, {}, true
  for number = 1, #self.lanes do
    local base = ("%s/lane%d"):format(self.folder, number)
    program.write(base .. ".json", core.json.encode{
      seed = math.random(1000000), kills = kills, most = 60, steps = core.json.array(M.steps()),
      command = self:command(number), out = base .. ".out", log = ("%s/%d.log"):format(self.folder,
        number),
    })
    lines[number] = ("%s >%s.stats & lanes=\"$lanes $!\""):format(
      program.command(self.folder, { core.system.real_path("spec/support/crash_lane.lua"),
        base .. ".json" }), base)
  end
  local cut = "while :; do %s; sleep 0.3; done >/dev/null 2>&1 & cutter=$!\n"
  assert(os.execute((self.options.cut and cut:format(self.options.cut) or "") .. table.concat(lines,
    "\n")
    .. '\nwait $lanes; [ -z "$cutter" ] || kill $cutter'))
  for number = 1, #self.lanes do
    local stats = core.json.decode(program.read(("%s/lane%d.stats"):format(self.folder, number)))
    done = done and stats.done
    add(total, stats)
  end
  return total, done
end

--- The journal's entries, as proxylua journal list prints them.
function Storm:journal()
  local words = { "--json", "journal", "list", "--all" }
  local pipe = assert(io.popen(program.command(self.folder, words, {
    PROXYLUA_BASE_URL = self.server.url, PROXYLUA_STORE = self.options.store,
      PROXYLUA_API_KEY = self.server.key,
  })))
  local text = pipe:read("a")
  assert(pipe:close(), text)
  return core.json.decode(text)
end

-- What was sold under a key that is not cancelled.
local function sold_by_key(orders)
  local by_key, by_id = {}, {}
  for _, order in ipairs(orders) do
    if order.status ~= "cancelled" then
      local key = M.key_of(order)
      by_key[key] = by_key[key] or {}
      table.insert(by_key[key], order)
    end
    by_id[order.id] = order
  end
  return by_key, by_id
end

local zero = core.money("0")

--- Holds what was spent against the allowances.
-- @return list of texts: what was overspent
function Storm:overspent(per_day, per_run)
  per_day, per_run = core.money(per_day), core.money(per_run)
  local texts, counters, runs, day = {}, self.server:look("counters"), {}, zero
  for _, entry in ipairs(self:journal()) do
    if entry.state ~= "not_placed" then
      local cost = core.money(entry.price or entry.quote)
      day, runs[entry.run_id] = day + cost, (runs[entry.run_id] or zero) + cost
    end
  end
  for run, cost in pairs(runs) do
    if cost > per_run then
      texts[#texts + 1] = ("run %s: %s on record"):format(run, tostring(cost))
    end
  end
  if day > per_day then texts[#texts + 1] = ("the day: %s on record"):format(tostring(day)) end
  local spent = core.money(counters.charged) - core.money(counters.refunded)
  if spent > per_day then texts[#texts + 1] = ("the day: %s charged"):format(tostring(spent)) end
  return texts, spent
end

--- Holds the intents against what the server has sold and the journal has on record.
-- @return table: orders, extensions, duplicates, losses, unrecorded, open, mispriced, and `faults`:
--   a list of texts
function Storm:audit()
  local report = { orders = 0, extensions = 0, duplicates = 0, losses = 0, unrecorded = 0, open = 0,
    mispriced = 0,
    texts = core.json.array{} }
  local function tell(what, ...)
    report[what] = report[what] + 1
    table.insert(report.texts, what .. ": " .. (...):format(select(2, ...)))
  end
  local by_key, by_id = sold_by_key(self.server:look("orders").orders)
  local entries, costs, owned = {}, {}, {}
  for _, entry in ipairs(self:journal()) do
    if entries[entry.key] then tell("unrecorded", "key %s is in the journal twice", entry.key) end
    entries[entry.key] = entry
    if entry.state ~= "placed" then
      tell("open", "%s is %s (%s)", entry.key, entry.state, entry.note)
    else
      costs[entry.order_id] = (costs[entry.order_id] or zero) + core.money(entry.price
        or entry.quote)
      if entry.endpoint == "orders.create" then owned[entry.order_id] = entry.key end
    end
  end
  for _, intent in ipairs(self.intents) do
    local orders, entry = by_key[intent.key] or {}, entries[intent.key]
    if #orders > 1 then tell("duplicates", "%s was bought %d times", intent.key, #orders) end
    if #orders == 0 then tell("losses", "%s was not bought", intent.key) end
    for _, order in ipairs(orders) do
      report.orders = report.orders + 1
      if owned[order.id] ~= intent.key then
        tell("unrecorded", "order %s, bought as %s, is on record as %s", order.id, intent.key,
          tostring(owned[order.id]))
      end
    end
    local order = entry and by_id[entry.order_id]
    local wanted, made = #intent.extensions, order and order.extensions or 0
    report.extensions = report.extensions + made
    if made > wanted then
      tell("duplicates", "%s was extended %d times, not %d", intent.key, made, wanted)
    end
    if made < wanted then
      tell("losses", "%s was extended %d times, not %d", intent.key, made, wanted)
    end
    for _, extension in ipairs(intent.extensions) do
      if not entries[extension.key] then
        tell("unrecorded", "there is no entry for %s", extension.key)
      end
    end
    if order and costs[order.id] ~= core.money(order.charged) then
      tell("mispriced", "%s cost %s, and %s on record", order.id, order.charged,
        tostring(costs[order.id]))
    end
  end
  return report
end

--- What the clients said in lines that hold a word.
function Storm:said(word)
  local pipe = assert(io.popen(("grep -hF ' %s: ' %s/*.log"):format(word, self.folder)))
  local text = pipe:read("a")
  pipe:close()
  return text
end

function Storm:close()
  self.server:stop()
  program.remove(self.folder)
end

return M
