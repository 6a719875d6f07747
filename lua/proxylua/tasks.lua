--- Tasks: code that runs while other code waits. px.all, px.map and px.timeout return or raise only
-- when the tasks that they started have ended. If their own task is cancelled, so are these tasks.
-- @module px.tasks

local core = require "proxylua.core"
local duration = require "proxylua.util.duration"
local names = require "proxylua.util.names"
local declare = require("proxylua.util.options").declare

local M = {}

--- Starts a task. It runs when the present code waits. If it fails and no task joins it, the script
-- ends with its error.
-- @function px.spawn
-- @tparam function fn that the task calls
-- @tparam any ... its arguments
-- @treturn task
-- @raise usage
-- @usage local task = px.spawn(px.orders.get, order.id)
-- local account = px.account.get()
-- print(task:join().id == order.id, account.balance > 0)  --> true  true

--- Waits until a task has ended.
-- @function task:join
-- @treturn any what its function returned
-- @raise the error that ended it; usage; cancelled
-- @usage print(px.spawn(function(a, b) return a + b end, 1, 2):join())  --> 3

--- Cancels a task: its present wait and every later one raise an error of kind cancelled.
-- @function task:cancel
-- @usage local task = px.spawn(px.sleep, 3600)
-- task:cancel()
-- print(select(2, px.try(task.join, task)).kind)  --> cancelled

--- The state of a task: "ready", "running", "waiting", "done", "failed" or "cancelled".
-- @function task:status
-- @treturn string
-- @usage local task = px.spawn(px.sleep, 0)
-- print(task:status())  --> ready
M.spawn = core.task.spawn

--- Waits while other tasks run.
-- @function px.sleep
-- @tparam number|string seconds from 0, or a duration such as "5s"; 0 lets the other tasks run once
-- @raise usage; cancelled
-- @usage px.sleep(0.5)
M.sleep = core.task.sleep

-- A worker pool is the tasks of one px.map. One worker at a time calls the iterator; when it has an
-- item, it starts the next worker, up to `most`, and works on the item itself.
--   take()  returns the next item, nil at the end
--   tasks   the set of those that have not ended
local Pool = {}

local function stop(pool)
  pool.stopped = true
  for task in pairs(pool.tasks) do task:cancel() end
end

local function fail(pool, err)
  if pool.failed then return end
  pool.failed, pool.err = true, err
  stop(pool)
end

local start_worker

local function take(pool)
  pool.taking = true
  local item = pool.take()
  pool.taking = false
  if item == nil then pool.stopped = true end
  if pool.stopped then return nil end
  pool.taken = pool.taken + 1
  if pool.size < pool.most then start_worker(pool) end
  return item, pool.taken
end

local function work(pool)
  local fn, results = pool.fn, pool.results
  while not pool.stopped and not pool.taking do
    local item, index = take(pool)
    if item == nil then return end
    local result = fn(item, index)
    if results then results[index] = result end
  end
end

function start_worker(pool)
  local task
  pool.size = pool.size + 1
  task = core.task.spawn(function()
    local ok, err = pcall(work, pool)
    pool.size = pool.size - 1
    pool.tasks[task] = nil
    if not ok then fail(pool, err) end
  end)
  pool.tasks[task] = true
end

-- Waits until all have ended, including those started meanwhile. A task that was cancelled before
-- it began, or aborted while it ended, has not removed itself from the set.
local function join(pool)
  while next(pool.tasks) do
    local list = {}
    for task in pairs(pool.tasks) do list[#list + 1] = task end
    local at = core.task.gather(list)
    if at then
      pool.tasks[list[at]] = nil
      fail(pool, select(2, pcall(list[at].join, list[at])))
    end
  end
end

-- The caller was cancelled, so its tasks are cancelled too, and joined if that is possible.
function Pool.__close(pool)
  if not next(pool.tasks) then return end
  stop(pool)
  pcall(join, pool)
end

local function run(take_next, fn, most, results)
  local pool <close> = setmetatable({
    take = take_next, fn = fn, most = most, results = results, tasks = {}, size = 0, taken = 0,
  }, Pool)
  start_worker(pool)
  join(pool)
  if pool.failed then error(pool.err, 0) end
  return results
end

-- Functions of px and those in C take the item alone: to them, the index would be a mistake.
local function of_item(fn)
  local is_c = type(fn) ~= "function" or select(2, core.arity.parameters(fn))
  if not is_c and not names.is_of_px(fn) then return fn end
  return function(item) return fn(item) end
end

local function walk(list)
  local index = 0
  return function()
    index = index + 1
    return list[index]
  end
end

local map_options = declare("px.map", {
  { "concurrency", "integer", "how many run at once", min = 1, default = 64 },
  { "results", "boolean", "false discards the results: then an iterator without an end takes "
    .. "constant memory", default = true },
})

local function check_map(list, fn)
  if type(list) ~= "table" and type(list) ~= "function" then
    names.usage("px.map takes a list or an iterator, then a function; got a %s first", type(list))
  end
  local behaviour = type(fn) ~= "function" and getmetatable(fn) -- px.money is a table
  if type(fn) ~= "function" and not (type(behaviour) == "table" and behaviour.__call) then
    names.usage("px.map takes a function for each item, got a %s", type(fn))
  end
end

--- Calls a function for each item of a list, many at the same time. The first failure cancels the
-- rest and is raised.
-- @function px.map
-- @tparam any[]|fun():any list up to its first nil; or an iterator, such as px.orders.each{}, which
--   is never called twice at the same time
-- @tparam fun(item:any,index:integer):any fn whose first result is returned; functions of px, and
--   those of Lua itself, get the item alone
-- @param options
-- @treturn any[] the results, in the order of the items
-- @raise what `fn` or the iterator raised; usage; cancelled
-- @usage local statuses = px.map(proxies, function(proxy)
--   local answer, err = px.try(px.http.get, px.sandbox().trace_url, { proxy = proxy, timeout = 5 })
--   return answer and answer.status or err.kind
-- end, { concurrency = 256 })
-- print(table.concat(statuses, " "))  --> 200 200
function M.map(list, fn, given)
  check_map(list, fn)
  local wanted = map_options(given)
  local take_next = type(list) == "function" and list or walk(list)
  return run(take_next, of_item(fn), wanted.concurrency, wanted.results and {} or nil)
end

local function call(fn)
  return fn()
end

--- Calls all functions of a list at the same time. The first failure cancels the rest and is
-- raised.
-- @function px.all
-- @tparam fun()[] fns without arguments
-- @treturn any[] their first results, in the order of the functions
-- @raise what one of them raised; usage; cancelled
-- @usage local answers = px.all{ px.account.get, px.orders.list }
-- print(answers[1].balance, #answers[2])
function M.all(fns)
  if type(fns) ~= "table" then
    names.usage("px.all takes a list of functions, got a %s", type(fns))
  end
  for index, fn in ipairs(fns) do
    if type(fn) ~= "function" then
      names.usage("px.all takes a list of functions, got a %s at [%d]; write function() return … "
        .. "end", type(fn), index)
    end
  end
  return run(walk(fns), call, math.max(#fns, 1), {})
end

local function seconds_of(caller, value, zero_too)
  local seconds = duration.read(value) or value
  if type(seconds) == "number" and seconds <= 1e9
    and (seconds > 0 or (zero_too and seconds == 0)) then
    return seconds
  end
  names.usage("%s takes a number of seconds %s 0, or a text with a unit such as \"5s\"; got %s",
    caller, zero_too and "from" or "above", tostring(value))
end

-- Both tasks end when the call does.
local Pair = {
  __close = function(pair)
    pair.task:cancel()
    pair.clock:cancel()
  end,
}

local function is_cancellation(err)
  return core.error.is(err) and err.kind == "cancelled"
end

--- Calls a function with a time limit. When the time is over, the function is cancelled: its waits
-- end with an error. A charge that is under way is still settled, and the journal has its outcome.
-- @function px.timeout
-- @tparam number|string seconds from 0, or a duration such as "5m"
-- @tparam function fn
-- @tparam any ... its arguments
-- @treturn any what the function returned
-- @raise timeout; outcome_unknown, when a charge was under way; what the function raised; usage;
--   cancelled
-- @usage local list = px.timeout(60, px.orders.wait, order.id)
-- print(#list)  --> 2
function M.timeout(seconds, fn, ...)
  seconds = seconds_of("px.timeout", seconds, true)
  local expired = false
  local task = core.task.spawn(fn, ...)
  local clock = core.task.spawn(function()
    core.task.sleep(seconds)
    expired = true
    task:cancel()
  end)
  local pair <close> = setmetatable({ task = task, clock = clock }, Pair)
  local results = table.pack(pcall(pair.task.join, task))
  if results[1] then return table.unpack(results, 2, results.n) end
  local err = results[2]
  if not (expired and is_cancellation(err)) then error(err, 0) end
  local charging = err.charge == "unknown"
  core.error.raise{
    kind = charging and "outcome_unknown" or "timeout", charge = err.charge,
      endpoint = err.endpoint,
    message = ("px.timeout: not done after %g s%s"):format(seconds,
      charging and " and a charge was under way; proxylua journal list shows its outcome" or ""),
  }
end

-- The next time at which a multiple of the period since the start is due.
local function next_due(due, period, now)
  return due + period * math.max(1, math.ceil((now - due) / period))
end

--- Calls a function now and then once per period. The times do not drift, and calls never overlap:
-- if a call takes longer than the period, the times that it misses are skipped.
-- @function px.every
-- @tparam number|string seconds above 0, or a duration such as "5m"
-- @tparam function fn ends the task by returning false
-- @tparam any ... its arguments
-- @treturn task for cancel and join
-- @raise usage
-- @usage local looks = 0
-- px.every(0.01, function()
--   looks = looks + 1
--   print(px.account.get().balance)
--   return looks < 2
-- end):join()
function M.every(seconds, fn, ...)
  seconds = seconds_of("px.every", seconds)
  if type(fn) ~= "function" then names.usage("px.every takes a function, got a %s", type(fn)) end
  return core.task.spawn(function(...)
    local due = core.task.clock()
    while fn(...) ~= false do
      due = next_due(due, seconds, core.task.clock())
      core.task.sleep(math.max(0, due - core.task.clock()))
    end
  end, ...)
end

return M
