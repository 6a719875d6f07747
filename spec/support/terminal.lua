-- The program at a real terminal: tmux runs it, types for it, and returns what is on the screen.

local core = require "proxylua.core"
local program = require "spec.support.program"

local M = {}
local Terminal = {}
Terminal.__index = Terminal

local PATIENCE = 60 -- seconds, for a busy machine; nothing takes that long otherwise

-- The exit code is shown once the program has ended. A signal from the keyboard reaches the shell
-- too, which outlives it.
local shell = [[trap : INT QUIT; "$@"; echo "exit $?"; while :; do read -r line || break; done]]

function Terminal:tmux(...)
  local words = { "tmux", "-u", "-f", "/dev/null", "-S", self.folder .. "/socket", ... }
  for at, word in ipairs(words) do words[at] = program.quote(word) end
  local pipe = assert(io.popen("TMUX= exec " .. table.concat(words, " ") .. " 2>&1"))
  local text = pipe:read("a")
  assert(pipe:close(), text)
  return text
end

--- Starts the program.
-- @param arguments list
-- @param options table, may be left out: width, height, env, home, command (text of another one for
--   the shell)
-- @return terminal
function M.open(arguments, options)
  options = options or {}
  local self = setmetatable({ folder = program.folder() }, Terminal)
  self.home = options.home or self.folder
  local env = { TERM = "screen-256color" }
  for name, value in pairs(options.env or {}) do env[name] = value end
  local command = options.command or ("sh -c %s sh %s"):format(program.quote(shell),
    program.command(self.home, arguments, env))
  program.write(self.folder .. "/log", "")
  self:tmux("new-session", "-d", "-x", tostring(options.width or 160), "-y",
    tostring(options.height or 40),
    "cat; " .. command, ";", "pipe-pane", "cat >>" .. program.quote(self.folder .. "/log"))
  self:tmux("send-keys", "C-d") -- what is written before the pipe is there would be missing
  return self
end

--- The text of the screen, without empty lines at its end. With colours when asked.
function Terminal:screen(colors)
  local text = colors and self:tmux("capture-pane", "-p", "-e") or self:tmux("capture-pane", "-p")
  return (text:gsub("%s+$", ""))
end

-- What the program has written so far, controls and all: looked at without starting a process.
function Terminal:written()
  return program.read(self.folder .. "/log")
end

--- Waits until a text is on the screen, or until a function of the screen's text returns true.
-- @return the screen
function Terminal:await(wanted)
  local ends = core.task.clock() + PATIENCE
  local screen, log
  repeat
    if log ~= self:written() then
      log = self:written()
      screen = self:screen()
      if type(wanted) == "function" and wanted(screen) then return screen end
      if type(wanted) == "string" and screen:find(wanted, 1, true) then return screen end
    end
    core.task.sleep(0.005)
  until core.task.clock() > ends
  error(("never on the screen: %s\n%s"):format(tostring(wanted), screen), 2)
end

--- Waits until the last line is a prompt with nothing behind it, or with this text.
function Terminal:prompt(text)
  local line = "px>" .. (text and " " .. text or "")
  return self:await(function(screen)
    return screen:match("[^\n]*$"):gsub("^px %b()>", "px>") == line
  end)
end

--- Types a text, as it is.
function Terminal:type(text)
  self:tmux("send-keys", "-l", "--", text)
end

--- Presses keys, by tmux's names: Enter, Tab, C-c, Up.
function Terminal:press(...)
  self:tmux("send-keys", ...)
end

--- At an empty prompt: clears the screen, types an input, presses Enter, and waits for the next
-- prompt.
-- @return the lines that came between
function Terminal:run(text)
  local before, ends = #self:written(), core.task.clock() + PATIENCE
  self:tmux("send-keys", "C-l", ";", "send-keys", "-l", "--", text:gsub(";$", "\\;"), ";",
    "send-keys", "Enter")
  repeat
    local log = self:written():sub(before + 1):gsub("px %([^)\n]*%)>", "px>")
    if select(2, log:gsub("px> ", "")) >= 2 and log:gsub("\27%[[%d;?]*%a", ""):find("px> $") then
      local screen = self:screen():gsub("px %([^)\n]*%)>", "px>")
      return (screen:match("^px> [^\n]*\n(.*)$"):gsub("\n?px>$", ""))
    end
    core.task.sleep(0.002)
  until core.task.clock() > ends
  error(("no prompt after %s\n%s"):format(text, self:screen()), 2)
end

--- Pastes a text, marked as pasted where the program asks for that.
function Terminal:paste(text)
  self:tmux("load-buffer", program.write(self.folder .. "/paste", text))
  self:tmux("paste-buffer", "-p")
end

function Terminal:resize(width, height)
  self:tmux("resize-window", "-x", tostring(width), "-y", tostring(height))
end

--- The process that runs at the terminal, when it is the program.
function Terminal:pid()
  local shell_pid = self:tmux("display-message", "-p", "#{pane_pid}"):match("%d+")
  local children = program.read(("/proc/%s/task/%s/children"):format(shell_pid, shell_pid))
  return children:match("%d+")
end

-- Whether it has ended; somebody may not have asked yet how.
local function is_gone(pid)
  local file = io.open(("/proc/%s/stat"):format(pid))
  local state = file and file:read("a")
  if file then file:close() end
  return not state or state:find("^%d+ %b() [ZX]") ~= nil
end

--- Waits until a process has ended.
function M.await_end(pid)
  local ends = core.task.clock() + PATIENCE
  while not is_gone(pid) and core.task.clock() < ends do core.task.sleep(0.005) end
  assert(is_gone(pid), "the program goes on")
end

--- Ends what runs at the terminal as if that were closed, and then closes it. (The hangup of a
-- terminal sends SIGCONT too, which takes back the SIGSTOP of the leak checker: a program that was
-- ending just then would wait for ever.)
function Terminal:close()
  local pid = self:pid()
  if pid then
    os.execute(("kill -HUP %s 2>/dev/null"):format(pid))
    M.await_end(pid)
  end
  self:tmux("kill-server")
  program.remove(self.folder)
end

return M
