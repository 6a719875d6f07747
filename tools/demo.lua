-- Draws the terminal session of README.md, from a real run against the emulated API.
--   build/proxylua tools/demo.lua >docs/demo.svg           writes the picture
--   build/proxylua tools/demo.lua --check docs/demo.svg    fails when a new run differs from it
--
-- Times, ports and speeds differ from run to run: the picture shows fixed values in their place.

local core = require "proxylua.core"

-- The second purchase's response is lost, after the order was placed.
local FAULT = "orders.create:cut=after,count=1,skip=1"

local steps = {
  { note = "buy three proxies" },
  { "proxylua --spend 20 orders create --type isp --quantity 3 --country US --key monday" },
  { note = "check them" },
  { "proxylua check" },
  { note = "buy again; the connection breaks after the API has placed the order" },
  { "proxylua --spend 20 --trace log orders create --type isp --quantity 3 --country DE "
    .. "--key tuesday" },
  { note = "what happened: the response was lost, the order was found, nothing was sent twice" },
  { "jq -r '\"\\(.method) \\(.endpoint): \\(.message // .status)\"' log | tail -n 5" },
  { "proxylua account transactions" },
}

local fixed = {
  { "\r", "" }, { "[^\n]*\27%[K", "" }, { "\27%[[%d;]*m", "" },
  { "%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ", "2026-12-01T09:00:00Z" },
  { "%d%d%d%d%-%d%d%-%d%d %d%d:%d%d", "2026-12-01 09:00" },
  { "(expires_at  )2026%-12%-01", "%12026-12-31" },
  { "127%.0%.0%.1:%d+ ?", function(text) return "127.0.0.1:8101" .. (" "):rep(#text - 14) end },
  { " +%d+%l ago%f[\0\n]", function(text) return (" "):rep(#text - 6) .. "2s ago" end },
  { "(%a%w*) %d+ ms", "%1 1 ms" },
  { " +%d+ ms", function(text) return (" "):rep(#text - 4) .. "1 ms" end },
}

local function shell(command, env)
  local words = { "env" }
  for name, value in pairs(env) do words[#words + 1] = ("%s='%s'"):format(name, value) end
  local quoted = "'" .. command:gsub("'", "'\\''") .. "'"
  words[#words + 1] = ("script -qec %s /dev/null </dev/null"):format(quoted)
  local pipe = assert(io.popen("cd " .. env.HOME .. " && " .. table.concat(words, " ")))
  local text = pipe:read("a")
  assert(pipe:close(), text)
  for _, row in ipairs(fixed) do text = text:gsub(row[1], row[2]) end
  return text
end

-- The results of a check arrive in any order, before its summary.
local function sorted(text)
  local results = {}
  local rest = text:gsub("(127[^\n]*\n)", function(line)
    results[#results + 1] = line
    return ""
  end)
  table.sort(results)
  return table.concat(results) .. rest
end

-- The lines of the session: tables of kind ("note", "command" or "output") and text.
local function run()
  local sandbox = core.sandbox.start{ limits = "off", seed = 7, faults = { FAULT } }
  local home = assert(io.popen("mktemp -d")):read("l")
  local bin = core.system.real_path("/proc/self/exe"):match("^(.*)/")
  local env = {
    HOME = home, XDG_STATE_HOME = home, XDG_CONFIG_HOME = home, COLUMNS = "88", NO_COLOR = "1",
    LANG = "C.UTF-8", PATH = bin .. ":/usr/bin:/bin", PROXYLUA_BASE_URL = sandbox.url,
    PROXYLUA_API_KEY = sandbox.key, PROXYLUA_CHECK_URL = sandbox.trace_url,
  }
  local lines = {}
  for _, step in ipairs(steps) do
    lines[#lines + 1] = { kind = step.note and "note" or "command", text = step.note or step[1] }
    local output = step[1] and shell(step[1], env) or ""
    if step[1] == "proxylua check" then output = sorted(output) end
    for line in output:gmatch("([^\n]*)\n") do
      lines[#lines + 1] = { kind = "output", text = line }
    end
  end
  core.sandbox.stop()
  assert(os.execute("rm -rf " .. home))
  return lines
end

-- Browsers collapse blanks in pictures, even with white-space: pre.
local NO_BREAK = "\u{A0}"
local SIZE, LINE, WIDTH = 13, 19, 7.83 -- of the letters, in pixels
local COLUMNS, MARGIN, BAR = 100, 20, 36
local colors = { note = "#8b949e", command = "#7ee787", output = "#e6edf3" }
local signs = { note = "# ", command = "$ ", output = "" }
local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

local function draw(lines)
  local out, y = {}, BAR
  local function put(format, ...) out[#out + 1] = format:format(...) end
  for at, line in ipairs(lines) do
    y = y + LINE * (line.kind == "note" and at > 1 and 1.6 or 1)
    local text = (signs[line.kind] .. line.text):gsub("[&<>]", entities):gsub(" ", NO_BREAK)
    put('<text x="%d" y="%.1f" fill="%s">%s</text>', MARGIN, y, colors[line.kind], text)
  end
  local width, height = math.ceil(COLUMNS * WIDTH) + 2 * MARGIN, math.ceil(y) + MARGIN
  local head = ([[
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">
<title>A session with proxylua</title>
<rect width="100%%" height="100%%" rx="8" fill="#0d1117"/>
<circle cx="20" cy="18" r="6" fill="#ff5f57"/><circle cx="40" cy="18" r="6" fill="#febc2e"/>
<circle cx="60" cy="18" r="6" fill="#28c840"/>
<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
 font-size="%d">]])
  head = head:format(width, height, width, height, SIZE)
  return ("%s\n%s\n</g>\n</svg>\n"):format(head, table.concat(out, "\n"))
end

local picture = draw(run())
if arg[1] ~= "--check" then
  io.write(picture)
else
  local file <close> = assert(io.open(arg[2]))
  if file:read("a") ~= picture then
    error("docs/demo.svg is out of date; run make picture", 0)
  end
end
