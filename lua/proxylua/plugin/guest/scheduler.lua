-- The tasks of a plugin, inside its process: coroutines that run one at a time. A wait is always
-- for a request to the parent or for another task. Where Lua cannot yield, frames are read until
-- the response has arrived, and other tasks do not run.

local core = require "proxylua.core"

local running, isyieldable, yield = coroutine.running, coroutine.isyieldable, coroutine.yield
local create, resume_thread, status = coroutine.create, coroutine.resume, coroutine.status
local pack, unpack, pcall = table.pack, table.unpack, pcall

local M = {}

local current -- the task whose code runs
local ready, first, last = {}, 1, 0
local questions, asked, unanswered = {}, 0, 0 -- waits by the number of our request
local calls = {} -- tasks by the number of the parent's request

local function raise(kind, message)
  core.error.raise{ kind = kind, message = message }
end

local Task = {}

local function make_ready(task)
  if task.state == "ready" then return end
  task.state = "ready"
  last = last + 1
  ready[last] = task
end

local function wake(wait)
  wait.done = true
  if wait.task.waiting == wait then make_ready(wait.task) end
end

local function body(task, fn, ...)
  task.results = pack(pcall(fn, ...))
end

local function spawn(fn, ...)
  local task = setmetatable({ thread = create(body), joiners = {}, arguments = pack(fn, ...) },
    Task)
  make_ready(task)
  return task
end

local function has_ended(task)
  return task.state == "done" or task.state == "failed"
end

local function finish(task, ok, err)
  if not ok then task.results = { false, err, n = 2 } end
  task.state = task.results[1] and "done" or "failed"
  for wait in pairs(task.joiners) do
    wait.left = wait.left - 1
    if wait.left == 0 or task.state == "failed" then wake(wait) end
  end
  task.joiners = {}
end

-- Runs the first ready task until it waits. Returns whether there was one.
local function step()
  if first > last then return false end
  local task, before = ready[first], current
  ready[first], first = nil, first + 1
  local arguments = task.arguments or { n = 0 }
  task.arguments, task.waiting = nil, nil
  task.state, current = "running", task
  local ok, err
  if arguments.n > 0 then
    ok, err = resume_thread(task.thread, task, unpack(arguments, 1, arguments.n))
  else
    ok, err = resume_thread(task.thread)
  end
  current = before
  if status(task.thread) == "dead" then
    finish(task, ok, err)
  elseif task.state == "running" then
    task.state = "waiting"
  end
  return true
end

local handle

-- Continues where Lua cannot yield.
local function pump(wait)
  if wait.left then
    if step() then return end
    if unanswered == 0 then
      raise("usage", "this wait cannot end: the tasks it waits for wait for this one")
    end
  end
  handle(core.receive())
end

local function await(wait)
  local task = current
  if not task then raise("usage", "cannot wait here: no task runs") end
  wait.task = task
  while not wait.done do
    if task.cancelled then
      if wait.cancel then wait:cancel() end
      raise("cancelled", "the task was cancelled")
    end
    if running() == task.thread and isyieldable() then
      task.waiting = wait
      yield()
    else
      pump(wait)
    end
  end
end

local function cancel(task)
  if has_ended(task) then return end
  task.cancelled = true
  if task.waiting then make_ready(task) end
end

local function withdraw(wait)
  if not questions[wait.number] then return end
  questions[wait.number] = nil
  unanswered = unanswered - 1
  core.send("x", wait.number)
end

--- Sends a request to the parent and waits for the response.
-- @param what string, and its arguments
-- @return the results
-- @raise the parent's error
function M.ask(what, ...)
  asked = asked + 1
  local number = asked
  local why = core.send("c", number, what, ...)
  if why then raise("usage", "the arguments cannot leave the plugin: they contain " .. why) end
  local wait = { number = number, cancel = withdraw }
  questions[number], unanswered = wait, unanswered + 1
  await(wait)
  local answer = wait.answer
  if not wait.ok then error(answer[1], 0) end
  return unpack(answer, 1, answer.n)
end

--- Sends the parent a notification.
function M.note(what, ...)
  local why = core.send("n", 0, what, ...)
  if why then raise("usage", "the data cannot leave the plugin: it contains " .. why) end
end

-- A plugin may raise any value.
local function portable(err)
  if core.error.is(err) or type(err) == "string" then return err end
  local ok, text = pcall(tostring, err)
  return ok and type(text) == "string" and text or "an error without a text"
end

local function answer(number, ok, ...)
  calls[number] = nil
  local why
  if ok then
    why = core.send("r", number, ...)
    if not why then return end
    why = "the result cannot leave the plugin: it contains " .. why
  else
    why = portable((...))
  end
  if core.send("e", number, why) then
    core.send("e", number, "its error cannot leave the plugin")
  end
end

local function serve(number, fn, ...)
  answer(number, pcall(fn, ...))
end

local function answered(kind, number, ...)
  local wait = questions[number]
  if not wait then return end
  questions[number], unanswered = nil, unanswered - 1
  wait.ok, wait.answer = kind == "r", pack(...)
  wake(wait)
end

function handle(kind, number, ...)
  if kind == "r" or kind == "e" then return answered(kind, number, ...) end
  if kind == "x" then
    if calls[number] then cancel(calls[number]) end
    return
  end
  local handler = M.handlers[(...)]
  if kind == "c" then
    calls[number] = spawn(serve, number, handler, select(2, ...))
  else
    handler(select(2, ...))
  end
end

--- Serves the parent until it ends.
-- @param handlers table of functions by the name of the request
function M.run(handlers)
  M.handlers = handlers
  while true do
    while step() do end
    handle(core.receive())
  end
end

local function await_all(list)
  local wait = { left = 0 }
  for _, task in ipairs(list) do
    if not has_ended(task) and not task.joiners[wait] then
      task.joiners[wait] = true
      wait.left = wait.left + 1
    elseif task.state == "failed" then
      wait.done = true
    end
  end
  if wait.left > 0 then await(wait) end
end

function M.gather(list)
  await_all(list)
  for index, task in ipairs(list) do
    if task.state == "failed" then
      task.taken = true
      return index
    end
  end
end

Task.__index = {
  cancel = cancel,
  join = function(task)
    await_all{ task }
    task.taken = true
    if task.state == "failed" then error(task.results[2], 0) end
    return unpack(task.results, 2, task.results.n)
  end,
  status = function(task)
    return task.cancelled and task.state == "failed" and "cancelled" or task.state
  end,
}

-- The error of a task that was never joined is reported when no task can join it any more.
function Task.__gc(task)
  if task.state ~= "failed" or task.taken or task.cancelled then return end
  local ok, text = pcall(tostring, task.results[2])
  core.send("n", 0, "log", "error", "a task failed: " .. (ok and text or "without a text"))
end

function M.spawn(fn, ...)
  if type(fn) ~= "function" then raise("usage", "px.spawn takes a function, got a " .. type(fn)) end
  return spawn(fn, ...)
end

function M.sleep(seconds)
  local number = type(seconds) == "string" and core.record.duration(seconds) or seconds
  if type(number) ~= "number" or not (number >= 0 and number <= 1e9) then
    raise("usage", "px.sleep takes 0 to 1e9 seconds, or a text with a unit such as \"5s\"; got "
      .. tostring(seconds))
  end
  M.ask("sleep", number)
end

M.clock, M.now = core.clock, core.now

--- Whether the running code belongs to a task directly, not to a coroutine inside it: only then a
-- yield reaches the scheduler.
function M.is_outermost()
  return current ~= nil and running() == current.thread
end

return M
