-- The figures of the project: what is measured, beside what, and what each should be at most. Run
-- by bench/run, which starts the servers; arguments are the names of figures, none means all.
--
-- A figure's function measures, and calls `row` for each number that comes of it.

local env = os.getenv
local folder = env "BENCH_FOLDER"
local http = "http://127.0.0.1:" .. env "HTTP_PORT"
local https = "https://127.0.0.1:" .. env "TLS_PORT"
local bare, ours = "build/bench/bare", folder .. "/proxylua"
local key = "'Accept: application/json' 'Authorization: Bearer sk_live_bench'"
local runs = 5
local mib = 1024 -- of the KiB in which sizes are printed

local sandbox -- the process id of the emulated API, while one is needed

local function give_up()
  if sandbox then os.execute("kill " .. sandbox) end
  os.exit(1)
end

-- Runs shell commands in turn, so many times each; returns for each its medians { wall =, cpu =,
-- size = } (s, s, KiB).
local function measure(times, ...)
  local commands = table.concat({ ... }, " -- ")
  local pipe = assert(io.popen(("build/bench/measure %d %s"):format(times, commands)))
  local medians = {}
  for line in pipe:lines() do
    local wall, cpu, size = line:match("(%S+) (%S+) (%S+)")
    medians[#medians + 1] = { wall = tonumber(wall), cpu = tonumber(cpu), size = tonumber(size) }
  end
  if not pipe:close() then give_up() end -- it has said why
  return table.unpack(medians)
end

local columns = "%-14s %-58s %11s %11s %7s %8s %4s\n"
local name, met, missed -- the figure under way, and how many numbers are what they should be

local function print_row(...)
  io.write((columns:format(...):gsub(" +\n", "\n")))
  io.flush()
end

-- A number of ours beside the reference's, as a ratio that should be at most `most`.
local function row(what, format, mine, reference, most)
  local good = mine / reference <= most
  if good then met = met + 1 else missed = missed + 1 end
  print_row(name, what, format:format(mine), format:format(reference),
    ("%.2f"):format(mine / reference),
    ("%.2f"):format(most), good and "yes" or "NO")
end

-- A number of ours that should itself be at most `most`.
local function absolute(what, format, mine, most)
  local good = mine <= most
  if good then met = met + 1 else missed = missed + 1 end
  print_row(name, what, format:format(mine), "", "", format:format(most), good and "yes" or "NO")
end

-- CPU of COUNT requests beside the bare program's, in microseconds each.
local function cpu(what, count, mine, reference, most)
  row(what .. ": CPU each", "%.1f us", mine.cpu / count * 1e6, reference.cpu / count * 1e6, most)
end

local function get(what, url, count, in_flight, most)
  local arguments = ("%s %d %d"):format(url, count, in_flight)
  local theirs, mine = measure(runs, bare .. " get " .. arguments, ours .. " bench/get.lua "
    .. arguments)
  cpu(what, count, mine, theirs, most)
end

local function api(what, base, call, count, in_flight, most)
  local theirs, mine = measure(runs,
    ("%s get %s/api/v1/%s %d %d %s"):format(bare, base, call, count, in_flight, key),
    ("env PROXYLUA_BASE_URL=%s/api/v1 %s bench/api.lua %s %d %d"):format(base, ours, call, count,
      in_flight))
  cpu(what, count, mine, theirs, most)
end

local download_url = http .. "/api/v1/orders/ord_1/download"

-- The idle size is that of the program after one small request.
local function download(what, from)
  local size, path = 40 * 1024 * 1024, folder .. "/downloaded"
  local theirs, mine, idle = measure(runs, ("%s download %s %s %s"):format(bare, download_url, path,
    key),
    ("env PROXYLUA_BASE_URL=%s/api/v1 %s bench/download.lua %s %s %d"):format(http, ours, from,
      path, size),
    ("%s bench/get.lua %s/json600 1 1"):format(ours, http))
  row(what .. ": CPU", "%.1f ms", mine.cpu * 1000, theirs.cpu * 1000, 1.1)
  absolute(what .. ": size above idle", "%.1f MiB", (mine.size - idle.size) / mib, 2)
end

-- Every 10th proxy refuses and every 20th never responds.
local function fate(i)
  return i % 10 == 3 and "REFUSE_PORT" or i % 20 == 7 and "HANG_PORT" or "PROXY_PORT"
end

-- Writes a list of proxies, each on an address of its own; returns its path and how many of them
-- work.
local function write_proxies(count, fate_of)
  local path = ("%s/%d-proxies"):format(folder, count)
  local working = 0
  local file <close> = assert(io.open(path, "w"))
  for i = 1, count do
    local port = fate_of(i)
    if port == "PROXY_PORT" then working = working + 1 end
    file:write(("http://127.%d.%d.%d:%s\n"):format((i >> 12) + 1, i >> 4 & 255, (i & 15) + 1,
      env(port)))
  end
  return path, working
end

-- The commands, the bare program's and ours, that send one request through each proxy.
local function through(url, count, in_flight, timeout, fate_of)
  local path, working = write_proxies(count, fate_of)
  local arguments = ("%s %s %d %d %d"):format(url, path, in_flight, timeout, working)
  return ("%s proxies %s"):format(bare, arguments), ("%s bench/proxies.lua %s"):format(ours,
    arguments)
end

local takings = 0

-- The cost of taking a slot, in so many processes at once on the same keys: the median of medians
-- (see slots.c).
local function slots(what, store, processes, most)
  local medians = {}
  for _ = 1, runs do
    takings = takings + 1
    local pipes = {}
    for i = 1, processes do
      pipes[i] = assert(io.popen(("build/bench/slots '%s' 200 14 bench_%d"):format(store, takings)))
    end
    for _, pipe in ipairs(pipes) do
      medians[#medians + 1] = pipe:read("n")
      if not pipe:close() then os.exit(1) end -- it has said why
    end
  end
  table.sort(medians)
  absolute(what, "%.0f us", medians[(#medians + 1) // 2], most)
end

-- The emulated API on its own, as long as `act` runs; what it counted is asked through
-- `counters()`.
local function with_sandbox(act, faults)
  local line = "echo $$; exec %s --json sandbox --quiet --limits off --balance 1000000%s"
  local pipe = assert(io.popen(line:format(ours, faults or "")))
  local place
  sandbox, place = pipe:read("l", "l")
  local url, secret = place:match('"url":"([^"]+)"'):gsub("\\/", "/"),
    place:match('"key":"([^"]+)"')
  local function counters()
    local curl = ("curl -s -H 'X-Sandbox-Key: %s' %s/_sandbox/counters"):format(secret,
      url:match("^%w+://[^/]+"))
    local answer <close> = io.popen(curl)
    return answer:read("a")
  end
  act(("env PROXYLUA_BASE_URL=%s PROXYLUA_API_KEY=%s PROXYLUA_SPEND=100000"):format(url, secret),
    counters, secret)
  os.execute("kill " .. sandbox)
  sandbox = nil
  pipe:close()
end

-- What the care around a purchase costs beside a plain POST: snapshot, journal and lock.
local function purchases(what, store)
  local count = 20
  with_sandbox(function(env_of, counters, secret)
    local line = ("%s PROXYLUA_STORE='%s' %s bench/purchases.lua %%s %d %s"):format(env_of, store,
      ours, count, secret)
    local theirs, mine = measure(runs, line:format("bare"), line:format("proxylua"))
    absolute(what .. ": wall added to a POST", "%.1f ms", (mine.wall - theirs.wall) / count * 1000,
      20)
    local requests = 0
    for endpoint, times in counters():match('"requests":(%b{})'):gmatch('"([^"]+)":(%d+)') do
      if endpoint ~= "admin" then requests = requests + times end
    end
    absolute(what .. ": requests added to a POST", "%.2f", requests / count / runs - 2, 5)
  end)
end

-- Writes 100,000 transactions of a year and their 10,000 orders, as --jsonl has them; returns the
-- paths.
local function write_account()
  local paths = { folder .. "/transactions", folder .. "/orders" }
  local transactions <close> = assert(io.open(paths[1], "w"))
  local orders <close> = assert(io.open(paths[2], "w"))
  local now = os.time()
  local function date(seconds) return os.date("!%Y-%m-%dT%H:%M:%SZ", seconds) end
  for i = 1, 100000 do
    transactions:write(
      ('{"amount":%d.%02d,"created_at":"%s","id":"txn_%06d","order_id":"ord_%05d","type":"%s"}\n')
      :format(i % 40, i % 100, date(now - i * 315), i, i % 10000, i % 10 == 0 and "refund"
        or "charge"))
  end
  local types, countries = { "isp", "mobile", "datacenter", "ipv6", "residential" },
    { "US", "DE", "FR" }
  for i = 0, 9999 do
    orders:write(
      ('{"country":"%s","expires_at":"%s","id":"ord_%05d","period":30,"price":9.30,"quantity":10,'
      .. '"status":"active","type":"%s"}\n'):format(countries[i % 3 + 1], date(now + i * 250), i,
      types[i % 5 + 1]))
  end
  return table.unpack(paths)
end

-- A home with twenty plugins, each with a command and an event.
local function install_plugins(with)
  for number = 1, 20 do
    local line =
      "cd %s && { %s plugin new counter%d && %s plugin install counter%d --yes; } 2>plugins.log"
    if not os.execute(line:format(folder, with, number, with, number)) then os.exit(1) end
  end
end

-- What a request through a proxy would reach; the proxies answer it themselves.
local target = "http://198.51.100.1/"

-- Purchases while some responses are lost, and some requests never arrive. Counts what the account
-- has bought beyond what was wanted.
local function retries(what, how, most)
  local count, lost, faults = 300, 11, {}
  for at = 1, lost do
    faults[#faults + 1] = (" --fault orders.create:cut=after,count=1,skip=%d"):format(at * 25)
    faults[#faults + 1] = (" --fault orders.create:cut=before,count=1,skip=%d"):format(at * 25 + 12)
  end
  with_sandbox(function(env_of, counters, secret)
    local line = "%s PROXYLUA_SETTLE=1s PROXYLUA_STORE=%s/retry-%s.db %s bench/retry.lua %s %d %s"
    if not os.execute(line:format(env_of, folder, how, ours, how, count, secret)) then give_up() end
    local sold = tonumber(counters():match('"sold":(%d+)'))
    absolute(("%s: bought twice, of %d"):format(what, count), "%.0f", sold - count, most)
  end, table.concat(faults))
end

local figures = {
  { "retry", function()
    retries("a script that sends a failed POST again", "retry", 11)
    retries("proxylua", "proxylua", 0)
  end },

  { "get", function()
    get("20,000 GETs of 600 bytes, 64 in flight", http .. "/json600", 20000, 64, 1.10)
  end },
  { "get-api", function()
    api("20,000 account.get, 64 in flight", http, "account", 20000, 64, 1.25)
  end },
  { "tls", function()
    get("20,000 GETs over TLS, 64 in flight", https .. "/json600", 20000, 64, 1.10)
  end },
  { "tls-api", function()
    api("20,000 account.get over TLS, 64 in flight", https, "account", 20000, 64, 1.25)
  end },
  { "row", function() get("5,000 GETs in a row", http .. "/json600", 5000, 1, 1.10) end },
  { "lists", function()
    get("4,000 lists of 20 KB, 64 in flight", http .. "/api/v1/orders", 4000, 64, 1.0)
  end },
  { "lists-api", function()
    api("4,000 orders.list, 64 in flight", http, "orders", 4000, 64, 1.2)
  end },

  { "start", function()
    local words = { "-e ''", "--version", "--help", "completion words orders l" }
    local commands = { "lua5.4 -e ''" }
    for at, word in ipairs(words) do commands[at + 1] = ours .. " " .. word end
    local medians = { measure(101, table.unpack(commands)) }
    for at, word in ipairs(words) do
      row(("proxylua %s, beside lua5.4 -e '': wall"):format(word), "%.2f ms",
        medians[at + 1].wall * 1000, medians[1].wall * 1000, at <= 2 and 1.3 or 2.5)
    end
    absolute("proxylua -e '': largest size", "%.1f MiB", medians[2].size / mib, 6)
  end },

  -- Each module is a hundred lines, of which the script uses all.
  { "bundle", function()
    local app, script = folder .. "/bundled", folder .. "/modules"
    assert(os.execute("mkdir -p " .. script))
    local lines = {}
    for i = 1, 20 do
      local file <close> = assert(io.open(("%s/m%d.lua"):format(script, i), "w"))
      for _ = 1, 33 do file:write("local function add(a, b)\n  return a + b\nend\n") end
      file:write("return add\n")
      lines[i] = ("require 'm%d'"):format(i)
    end
    local file <close> = assert(io.open(script .. "/app.lua", "w"))
    file:write(table.concat(lines, "\n"))
    file:close()
    assert(os.execute(("%s bundle --quiet %s/app.lua -o %s"):format(ours, script, app)))
    local bare_start, mine = measure(51, ours .. " -e ''", app)
    absolute("a bundle of 20 modules: CPU added to a start", "%.2f ms", (mine.cpu - bare_start.cpu)
      * 1000, 2)
    absolute("a bundle of 20 modules: wall added to a start", "%.2f ms",
      (mine.wall - bare_start.wall) * 1000, 2)
  end },

  { "plugins", function()
    local line = "env XDG_DATA_HOME=%s/%s " .. ours
    local without, with = line:format(folder, "no-plugins"), line:format(folder, "plugins")
    local names = [[ -e 'require("proxylua.plugin.package.installed").names()']]
    install_plugins(with)
    local none, many = measure(51, without .. " -e ''", with .. " -e ''")
    local none_told, many_told = measure(51, without .. names, with .. names)
    absolute("20 plugins: CPU added to a start", "%.2f ms", (many.cpu - none.cpu) * 1000, 2)
    absolute("20 plugins: CPU added when it asks for their names", "%.2f ms",
      (many_told.cpu - none_told.cpu) * 1000, 2)
  end },

  { "slots", function()
    local file = folder .. "/slots.db"
    slots("a slot from SQLite: wall", file, 1, 60)
    slots("a slot from SQLite, four processes at once: wall", file, 4, 240)
  end },

  { "slots-postgres", function()
    slots("a slot from PostgreSQL: wall", env "POSTGRES_URL", 1, 500)
    slots("a slot from PostgreSQL, four processes at once: wall", env "POSTGRES_URL", 4, 2000)
  end },

  { "purchase", function()
    purchases("a purchase, journal in SQLite", folder .. "/purchases.db")
  end },
  { "purchase-pg", function()
    purchases("a purchase, journal in PostgreSQL", env "POSTGRES_URL")
  end },

  { "prompt", function()
    local pipe = assert(io.popen(("build/bench/prompt 21 %s --quiet"):format(ours)))
    local start, completion = pipe:read("n", "n")
    if not pipe:close() then os.exit(1) end -- it has said why
    absolute("start to prompt", "%.1f ms", start, 25)
    absolute("completion of a global with 10,000 fields", "%.1f ms", completion, 50)
  end },

  { "sleep", function()
    local mine = measure(runs, ours .. " bench/sleep.lua 10000")
    absolute("10,000 tasks asleep: largest size", "%.1f MiB", mine.size / mib, 40)
  end },

  { "plugin", function()
    local pipe = assert(io.popen(ours .. " bench/plugin.lua"))
    local first, call, rows = pipe:read("n", "n", "n")
    if not pipe:close() then give_up() end -- it has said why
    absolute("first call into a plugin, its start included", "%.1f ms", first, 15)
    absolute("a call into a plugin", "%.1f us", call, 100)
    absolute("100,000 rows from a plugin", "%.2f s", rows, 0.5)
  end },

  { "download", function() download("40 MB to a file", download_url) end },
  { "download-api", function() download("40 MB with orders.download", "ord_1") end },

  -- The wall time that the timeouts alone set: if working and refusing proxies took no time at all,
  -- those that hang would begin at once, as many as may be in flight; they are less than that, so
  -- all end after one timeout. What is above it is the time in which the list is gone through.
  { "proxies", function()
    local count, in_flight, timeout = 2000, 256, 5
    local theirs, mine = measure(runs, through(target, count, in_flight, timeout, fate))
    local least = math.ceil(count / 20 / in_flight) * timeout
    row("2,000 proxies, 256 in flight, 5 % hang: wall and bound", "%.2f s", mine.wall, least, 1.05)
    cpu("2,000 proxies, 256 in flight", count, mine, theirs, 1.2)
  end },

  { "proxies-many", function()
    local _, few = through(target, 2000, 256, 5, fate)
    local _, many = through(target, 15000, 1024, 5, fate)
    local few_runs, many_runs = measure(runs, few, many)
    row("15,000, 1,024 in flight, beside 2,000, 256: CPU each", "%.1f us",
      many_runs.cpu / 15000 * 1e6,
      few_runs.cpu / 2000 * 1e6, 1)
  end },

  { "check", function()
    local count, timeout = 2000, 5
    local line = "env PROXYLUA_BASE_URL=%s/api/v1 %s check --quiet --no-history --from %s --url %s "
      .. "--expect 200 --timeout %ds"
    local mixed = write_proxies(count, fate)
    local mine = measure(runs, line:format(http, ours, mixed, target, timeout))
    row("2,000 checked, 512 in flight, 10 % refuse, 5 % hang: wall and bound", "%.2f s", mine.wall,
      timeout, 1.15)
    local function all_of(number)
      local path = write_proxies(number, function() return "PROXY_PORT" end)
      return measure(3, line:format(http, ours, path, target, timeout))
    end
    local few, many = all_of(20000), all_of(100000)
    row("100,000 from a file, beside 20,000: largest size", "%.1f MiB", many.size / mib,
      few.size / mib, 1.1)
  end },

  { "report", function()
    local line =
      "env PROXYLUA_BASE_URL=%s/api/v1 %s report --quiet --since 365d --transactions %s --orders %s"
    local mine = measure(runs, line:format(http, ours, write_account()))
    absolute("a report over 100,000 transactions: wall", "%.2f s", mine.wall, 1)
    absolute("a report over 100,000 transactions: largest size", "%.1f MiB", mine.size / mib, 64)
    local pipe = assert(io.popen("exec perl spec/support/history.pl 1000000"))
    local from_api = "env PROXYLUA_BASE_URL=http://127.0.0.1:%s %s report --quiet"
    mine = measure(1, from_api:format(pipe:read("l") or give_up(), ours))
    absolute("a report over 1,000,000 transactions of the API: wall", "%.2f s", mine.wall, 8)
    absolute("a report over 1,000,000 transactions of the API: largest size", "%.1f MiB",
      mine.size / mib, 96)
    pipe:close()
  end },

  { "export", function()
    local path = folder .. "/exported"
    local list = ours .. " -e 'print([[template]]) "
      .. "for _, f in ipairs(require([[proxylua]]).export.formats()) do print(f.name) end'"
    for format in io.popen(list):lines() do
      local mine = measure(3, ("%s bench/export.lua %s %s 1000000"):format(ours, format, path))
      absolute("a million proxies as " .. format .. ": wall", "%.2f s", mine.wall, 3)
      absolute("a million proxies as " .. format .. ": largest size", "%.1f MiB", mine.size / mib,
        64)
    end
    os.remove(path)
  end },

  -- Beside the time that URLs take, a proxy a line.
  { "import", function()
    local path, count = folder .. "/imported", 200000
    local function read(format)
      if not os.execute(("%s bench/export.lua %s %s %d"):format(ours, format, path, count)) then
        give_up()
      end
      return measure(3, ("%s bench/import.lua %s %d"):format(ours, path, count))
    end
    local reference = read("url")
    for _, case in ipairs{ { "txt", 2 }, { "json", 2.5 }, { "csv", 2.5 }, { "scrapy", 2 },
      { "proxychains", 2 }, { "env", 2.5 }, { "3proxy", 2.5 }, { "squid", 3 }, { "curl", 4 },
      { "sing-box", 3 }, { "foxyproxy", 4 }, { "gost", 4 }, { "clash", 4 }, { "switchyomega", 5 } }
    do
      local format, most = table.unpack(case)
      local mine = read(format)
      row(("reading %d proxies as %s, beside URLs: CPU"):format(count, format), "%.2f s", mine.cpu,
        reference.cpu, most)
      absolute(("reading %d proxies as %s: largest size"):format(count, format), "%.1f MiB",
        mine.size / mib, 32)
    end
    os.remove(path)
  end },

  { "pool", function()
    local function pick(count)
      local times = {}
      for run = 1, runs do
        local pipe = assert(io.popen(("%s bench/pool.lua %d"):format(ours, count)))
        times[run] = pipe:read("n")
        if not pipe:close() then give_up() end -- it has said why
      end
      table.sort(times)
      return times[(#times + 1) // 2]
    end
    row("a pick and a report in a pool of 100,000, beside one of 100: wall", "%.2f us",
      pick(100000), pick(100), 6)
  end },

  { "proxies-tls", function()
    local theirs, mine = measure(runs, through(https .. "/json600", 1000, 64, 30, function()
      return "PROXY_PORT"
    end))
    cpu("1,000 over TLS through proxies, 64 in flight", 1000, mine, theirs, 1.2)
  end },
}

local wanted = {}
for _, each in ipairs(figures) do wanted[each[1]] = #arg == 0 end
for _, each in ipairs(arg) do
  if wanted[each] == nil then
    local known = {}
    for i, figure in ipairs(figures) do known[i] = figure[1] end
    io.stderr:write(("bench/run: no figure %s; there are %s\n"):format(each,
      table.concat(known, " ")))
    os.exit(2)
  end
  wanted[each] = true
end

met, missed = 0, 0
print_row("figure", ("median of %d runs"):format(runs), "proxylua", "beside", "ratio", "at most",
  "met")
for _, each in ipairs(figures) do
  name = each[1]
  if wanted[name] then each[2]() end
end
print(("%d met, %d not"):format(met, missed))
