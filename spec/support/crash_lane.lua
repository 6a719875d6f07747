-- One of the processes of the crash harness: starts the client again and again until it has left
-- nothing for later, and ends it by SIGKILL at a random instant or at a step of a charge, or
-- interrupts it.
--   crash_lane.lua LANE.json

local px = require "proxylua"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local lane = px.json.decode(read(...))
math.randomseed(lane.seed)

local stats = { runs = 0, steps = {}, random = 0, signals = 0, hung = 0, later = {}, refused = 0,
  crashed = 0 }

local HANGS = "--signal=ABRT 300" -- the others' settling included

-- How the next run is to be ended: the words of timeout(1), and PROXYLUA_CRASH.
local function choose()
  local way = stats.runs <= lane.kills and math.random() or 1
  if way < 0.4 then
    local step = lane.steps[math.random(#lane.steps)]
    return "step", HANGS, ("%s:%d"):format(step, math.random(4)), step
  elseif way < 0.75 then
    return "random", ("--signal=KILL %.3f"):format(0.02 + math.random() ^ 2 * 3), ""
  elseif way < 0.85 then
    return "signal", ("--signal=%s %.3f"):format(math.random(2) == 1 and "TERM" or "INT",
      0.1 + math.random() * 2), ""
  end
  return "none", HANGS, ""
end

-- timeout(1) ends with 137 when it had to kill, with 124 when its other signals came in time, or
-- the end came first.
local function note(how, code, step)
  local killed, late = code == 137, code == 124
  if killed and how == "step" then
    stats.steps[step] = (stats.steps[step] or 0) + 1
  elseif killed and how == "random" then
    stats.random = stats.random + 1
  elseif late and how == "signal" then
    stats.signals = stats.signals + 1
  elseif late and how ~= "random" then
    stats.hung = stats.hung + 1
  elseif code > 128 and code ~= 130 then
    stats.crashed = stats.crashed + 1
  end
end

-- What the client says at its end; nil when it was not let come to that.
local function outcome()
  local line = read(lane.out):match("({.*})\n$")
  return line and px.json.decode(line)
end

local function left_in(ends)
  local left = 0
  for kind, count in pairs(ends) do
    if kind == "refused" then
      stats.refused = count
    elseif kind ~= "done" then
      left = left + count
      stats.later[kind] = (stats.later[kind] or 0) + count
    end
  end
  return left
end

-- Faults are by chance: what cannot be done in so many undisturbed runs cannot be done.
local done = false
while not done and stats.runs < lane.kills + lane.most do
  stats.runs = stats.runs + 1
  local how, words, crash, step = choose()
  local line = ("export PROXYLUA_CRASH=%s; timeout --foreground %s %s %d >%s 2>>%s"):format(crash,
    words, lane.command,
    math.random(1000000), lane.out, lane.log)
  local ok, _, code = os.execute(line)
  note(how, ok and 0 or code, step)
  local ends = outcome()
  done = ends and left_in(ends) == 0
end
stats.done = done
print(px.json.encode(stats))
