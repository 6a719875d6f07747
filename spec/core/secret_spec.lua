-- src/api/secret.c: where the key comes from, and who cannot see it.

local program = require "spec.support.program"
local servers = require "spec.support.server"

local ACCOUNT = '{"success":true,"data":{"id":"acc_1","balance":"9.30","email":"a@b.example"}}'
local KEY = "sk_live_0123456789abcdef"

describe("the key", function()
  local server, home, file

  before_each(function()
    server = servers.start{ ["/account"] = servers.ok(ACCOUNT) }
    home = program.folder()
    file = home .. "/key"
  end)

  after_each(function()
    server:stop()
    program.remove(home)
  end)

  -- Runs one request with a config; returns the result.
  local function run(config, code, env)
    local path = program.write(home .. "/config.lua", ("return { %s }"):format(config))
    local all = { PROXYLUA_BASE_URL = server.url, PROXYLUA_LIMITS = "off", PROXYLUA_CONFIG = path }
    for name, value in pairs(env or {}) do all[name] = value end
    return program.run({ "-e", code or "require('proxylua').account.get()" },
      { home = home, env = all })
  end

  local function sent(result, key)
    assert.equal(0, result.code, result.err)
    assert.matches("Authorization: Bearer " .. (key or KEY) .. "\r\n", server:requests()[1], 1,
      true)
  end

  local function refused(why, config, secret)
    local result = run(config)
    assert.equal(2, result.code)
    assert.matches(why, result.err, 1, true)
    if secret then assert.not_matches(secret, result.err, 1, true) end
    assert.same({}, server:requests())
  end

  local function from_file(text, mode)
    program.write(file, text)
    assert(os.execute(("chmod %s %s"):format(mode or "600", file)))
    return ("api_key_file = %q"):format(file)
  end

  it("is read from api_key_file, with a line's end or without", function()
    for _, ending in ipairs{ "", "\n", "\r\n" } do
      local result = run(from_file(KEY .. ending))
      sent(result)
    end
    sent(run(from_file(KEY, "400")))
  end)

  it("is not read from a file that others may read or write", function()
    for _, mode in ipairs{ "640", "604", "644", "620", "660", "666", "610" } do
      refused("can be read by others; run chmod 600", from_file(KEY, mode), KEY)
    end
  end)

  it("is read only from a regular file", function()
    refused("is not a regular file", ("api_key_file = %q"):format(home))
    refused("is not a regular file", "api_key_file = '/dev/zero'")
    assert(os.execute("mkfifo -m 600 " .. file))
    refused("is not a regular file", ("api_key_file = %q"):format(file))
    refused("No such file", "api_key_file = '/none/key'")
  end)

  it("is refused when its file holds something else, and that is not quoted", function()
    for text, why in pairs{
      [""] = "is empty", ["\n"] = "is empty", ["short"] = "fewer than 8 characters",
        [("x"):rep(600)] = "more than 512",
      ["two words in it"] = "a space", ["first_line\nsecond_line"] = "a line break",
      ["nul\0nul\0nul"] = "printable ASCII",
    } do
      refused(why, from_file(text), #text > 5 and text)
    end
  end)

  it("is read from the first line that api_key_command prints", function()
    sent(run(("api_key_command = 'echo %s; echo more'"):format(KEY)))
  end)

  it("is read from api_key_command when the parent process ignores SIGCHLD", function()
    local config = ("return { api_key_command = 'echo %s' }"):format(KEY)
    local path = program.write(home .. "/config.lua", config)
    sent(program.run({ "-e", "$SIG{CHLD} = 'IGNORE'; exec @ARGV", program.path, "-e",
      "require('proxylua').account.get()" }, { program = "perl", home = home,
      env = { PROXYLUA_BASE_URL = server.url, PROXYLUA_LIMITS = "off", PROXYLUA_CONFIG = path } }))
  end)

  it("is refused when the command fails or prints nothing", function()
    refused("failed with exit code 3", ("api_key_command = 'echo %s; exit 3'"):format(KEY), KEY)
    refused("was ended by signal 9", "api_key_command = 'kill -9 $$'")
    refused("is empty", "api_key_command = 'true'")
    refused("more than 512", "api_key_command = 'head -c 100000 /dev/zero | tr \"\\\\0\" x'")
  end)

  it("is not handed to programs that the script starts", function()
    local result = run("", [[local px = require "proxylua" px.account.get()
      os.execute("env; cat /proc/$PPID/environ")]], { PROXYLUA_API_KEY = KEY })
    sent(result)
    assert.not_matches(KEY, result.out, 1, true)
    assert.matches("PROXYLUA_LIMITS", result.out, 1, true)
  end)

  -- Other processes of the user own /proc/PID of a process, unless it is not dumpable: then root
  -- does.
  -- How often a process holds the key, as root sees it; nil when that is not permitted.
  local scan = [[
    my ($pid, $key) = ($ARGV[0], "sk_live_" . $ARGV[1]);
    open my $maps, "<", "/proc/$pid/maps" or exit 1;
    open my $memory, "<:raw", "/proc/$pid/mem" or exit 1;
    my $count = 0;
    while (<$maps>) {
      my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) r/ or next;
      ($from, $to) = (hex $from, hex $to);
      sysseek $memory, $from, 0 or next;
      sysread $memory, my $bytes, $to - $from or next;
      $count += () = $bytes =~ /\Q$key\E/g;
    }
    print $count;]]

  it("is in memory once, and for each open connection and each request under way", function()
    local script = program.write(home .. "/scan.pl", scan)
    server:stop()
    server = servers.start{ ["/account"] = servers.ok(ACCOUNT),
      ["/orders/ord_1"] = { "", hold = true } }
    local result = run(from_file(KEY), ([[
      local px = require "proxylua"
      local status = io.open("/proc/self/status"):read("a")
      local function count()
        local pipe <close> = io.popen("perl %s " .. status:match("Pid:%%s*(%%d+)")
          .. " 0123456789abcdef")
        return pipe:read("n")
      end
      local before = count()
      for _ = 1, 20 do px.account.get() end
      local idle, tasks, during = count(), {}
      for i = 1, 3 do tasks[i] = px.spawn(px.orders.get, "ord_1") end
      for _ = 1, 100 do
        px.sleep(0.01)
        during = count()
        if during == 7 then break end
      end
      for i = 1, 3 do tasks[i]:cancel() end
      print(before, idle, during, count())]]):format(script))
    assert.equal(0, result.code, result.err)
    if result.out:find("^nil") then
      return pending("only root can read the memory of the process")
    end
    assert.equal("0\t2\t7\t1\n", result.out)
  end)

  it("is not in what a server sends back, however JSON spells it", function()
    local spelled = KEY:gsub("_", "\\u005f"):gsub("l", "\\u006C")
    for _, text in ipairs{ KEY, spelled, KEY:sub(1, 4) .. "\\u0069" .. KEY:sub(6) } do
      server:stop()
      local body = ACCOUNT:gsub("a@b.example", function() return text end)
      server = servers.start{ ["/account"] = servers.ok(body) }
      local result = run(from_file(KEY), "print(require('proxylua').account.get().email)")
      assert.equal("[key]\n", result.out, result.err)
    end
  end)

  it("is not in a file that a server sends, also where its pieces end within the key", function()
    local body = ("a"):rep(5) .. KEY .. "\n" .. KEY:sub(1, 10) .. "b\n"
    local list = {}
    for at = 1, #body do list[at] = ("1\r\n%s\r\n"):format(body:sub(at, at)) end
    server:stop()
    server = servers.start{ ["/orders/ord_1/download"] =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. table.concat(list) .. "0\r\n\r\n" }
    local path = home .. "/proxies.txt"
    local result = run(from_file(KEY),
      ("require('proxylua').orders.download('ord_1', { path = %q })"):format(path))
    assert.equal(0, result.code, result.err)
    assert.equal(("a"):rep(5) .. "[key]\n" .. KEY:sub(1, 10) .. "b\n", program.read(path))
  end)

  it("cannot be read out of the process by others of the same user, nor dumped", function()
    local copy = home .. "/proxylua"
    assert(os.execute(("cp %s %s && chmod 755 %s %s && mkdir %s/u && chmod 777 %s/u"):format(
      program.quote(program.path), copy, home, copy, home, home)))
    local code =
      [[os.execute "id -u; stat -c %u /proc/$PPID/mem; \
        grep 'Max core file size' /proc/$PPID/limits"]]
    local command = program.command(home .. "/u", { "-e", code }, { PROXYLUA_API_KEY = KEY }, copy)
    local pipe = io.popen(
      "test $(id -u) = 0 && set -- setpriv --reuid=65534 --clear-groups; \"$@\" " .. command)
    local user, owner, soft,
      hard = pipe:read("a"):match("(%d+)\n(%d+)\nMax core file size%s+(%d+)%s+(%d+)")
    pipe:close()
    assert.not_equal("0", user)
    assert.same({ "0", "0", "0" }, { owner, soft, hard })
  end)
end)
