-- What Lua's own coroutine library does in many cases, printed a line each. The spec runs this with
-- lua5.4 and with the program, and compares. Addresses and paths are left out.

local function show(value)
  local kind = type(value)
  if kind == "string" then return (("%q"):format(value):gsub("0x%x+", "0x")) end
  if kind == "number" or kind == "boolean" or kind == "nil" then return tostring(value) end
  return kind
end

local function line(name, ...)
  local parts = { name }
  for index = 1, select("#", ...) do parts[#parts + 1] = show((select(index, ...))) end
  print(table.concat(parts, " "))
end

local cases = {}
local order = {}
local function case(name, fn)
  order[#order + 1] = name
  cases[name] = fn
end

local create, resume, wrap, yield = coroutine.create, coroutine.resume, coroutine.wrap,
  coroutine.yield
local status, close, running = coroutine.status, coroutine.close, coroutine.running
local isyieldable = coroutine.isyieldable

case("the functions there are", function()
  local names = {}
  for name in pairs(coroutine) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, " ")
end)

case("values in and out", function()
  local co = create(function(...)
    local second = { yield(select("#", ...), ...) }
    local third = { yield(#second, second[1], second[3]) }
    return #third, "end", nil
  end)
  line("  start", resume(co, 1, nil, 3, nil))
  line("  again", resume(co, "a", "b", "c"))
  line("  last", resume(co))
  line("  dead", resume(co, 1))
  return status(co)
end)

case("wrap: values in and out", function()
  local fn = wrap(function(...)
    local a, b = yield(...)
    yield(b, a)
    return "end", nil
  end)
  line("  start", fn(1, nil))
  line("  again", fn("a", "b"))
  line("  last", fn())
  return pcall(fn)
end)

case("many values", function()
  local list = {}
  for index = 1, 5000 do list[index] = index end
  local co = create(function(...) return yield(...) end)
  line("  out", select("#", resume(co, table.unpack(list))))
  line("  in", select("#", resume(co, table.unpack(list))))
  return select("#", wrap(function() return table.unpack(list) end)())
end)

case("too many values", function()
  local list = {}
  for index = 1, 900000 do list[index] = index end
  local co = create(function(...) return select("#", ...) end)
  line("  in", resume(co, table.unpack(list)))
  line("  out", resume(create(function() return table.unpack(list) end)))
  return pcall(wrap(function() return table.unpack(list) end))
end)

case("errors: text", function() return resume(create(function() error("text") end)) end)
case("errors: text without a position", function()
  return resume(create(function() error("text", 0) end))
end)
case("errors: a table", function() return resume(create(function() error{} end)) end)
case("errors: nil", function() return resume(create(function() error() end)) end)
case("errors: of the system", function() return resume(create(function() return nil + 1 end)) end)
case("errors through wrap: text gets a position", function()
  return pcall(function() wrap(function() error("text") end)() end)
end)
case("errors through two wraps", function()
  return pcall(function()
    wrap(function() wrap(function() error("text") end)() end)()
  end)
end)
case("errors through wrap: a table", function() return pcall(wrap(function() error{} end)) end)
case("errors through wrap: nil", function() return pcall(wrap(function() error() end)) end)
case("errors through wrap, called from C", function() return pcall(wrap(error), "text") end)
case("errors through wrap close variables", function()
  local closed
  local ok, err = pcall(wrap(function()
    local _ <close> = setmetatable({}, { __close = function(_, why) closed = why end })
    error("text", 0)
  end))
  return ok, err, closed
end)
case("errors through wrap, and another while closing", function()
  return pcall(wrap(function()
    local _ <close> = setmetatable({}, { __close = function() error("closing", 0) end })
    error("text", 0)
  end))
end)
case("errors through resume leave variables open until close", function()
  local closed
  local co = create(function()
    local _ <close> = setmetatable({}, { __close = function(_, why) closed = why end })
    error("text", 0)
  end)
  line("  resume", resume(co))
  line("  closed", closed)
  line("  close", close(co))
  return closed, status(co)
end)
case("errors after yields", function()
  local co = create(function() yield(1) error("text", 0) end)
  line("  one", resume(co))
  line("  two", resume(co))
  line("  three", resume(co))
  return status(co)
end)
case("stack overflow inside", function()
  local function deep() return 1 + deep() end
  local ok, err = resume(create(deep))
  return ok, err:match("stack overflow")
end)
case("resume inside resume inside, too deep", function()
  local function deep() return wrap(deep)() end
  local ok, err = pcall(deep)
  return ok, err:match("C stack overflow")
end)

case("resume itself", function()
  local co
  co = create(function() return resume(co, 1, 2) end)
  return resume(co)
end)
case("wrap that calls itself", function()
  local fn
  fn = wrap(function() return pcall(fn) end)
  return fn()
end)
case("wrap that calls itself, failing", function()
  local fn
  fn = wrap(function() return fn() end)
  return pcall(fn)
end)
case("resume the one that resumed", function()
  local outer
  outer = create(function() return resume(create(function() return resume(outer) end)) end)
  return resume(outer)
end)
case("resume what is dead", function()
  local co = create(function() end)
  resume(co)
  return resume(co)
end)
case("resume with a bad argument", function()
  line("  nothing", pcall(resume))
  line("  a function", pcall(resume, print))
  return pcall(resume, {})
end)
case("other bad arguments", function()
  line("  create", pcall(create))
  line("  create of a table", pcall(create, {}))
  line("  create of a callable", pcall(create, setmetatable({}, { __call = print })))
  line("  wrap", pcall(wrap, 1))
  line("  status", pcall(status))
  line("  status of a function", pcall(status, print))
  line("  close", pcall(close))
  line("  close of a text", pcall(close, "x"))
  return pcall(isyieldable, 1)
end)
case("a C function as body", function()
  line("  resume", resume(create(select), "#", 1, 2, 3))
  line("  wrap", wrap(tostring)(5))
  return resume(create(yield), 1, 2)
end)
case("yield as body, resumed", function()
  local co = create(yield)
  line("  one", resume(co, 1, 2))
  return resume(co, 3, 4)
end)

case("status", function()
  local outer, inner
  outer = create(function()
    line("  running", status(outer))
    inner = create(function()
      line("  normal", status(outer))
      line("  inner", status(inner))
      yield()
    end)
    line("  new", status(inner))
    resume(inner)
    line("  suspended", status(inner))
    resume(inner)
    line("  ended", status(inner))
    yield()
    error("x")
  end)
  resume(outer)
  line("  suspended", status(outer))
  resume(outer)
  return status(outer)
end)

case("running", function()
  local main, is_main = running()
  line("  main", type(main), is_main, status(main))
  local co
  co = create(function()
    local self, top = running()
    line("  inside", self == co, top)
    line("  main from inside", status(main))
    line("  resume main", resume(main))
    line("  close main", pcall(close, main))
    return (running()) == co
  end)
  line("  body", resume(co))
  line("  resume main from main", resume(main))
  return pcall(close, main)
end)

case("isyieldable", function()
  line("  main", isyieldable())
  local co
  co = create(function()
    line("  inside", isyieldable(), isyieldable(co))
    table.sort({ 2, 1 }, function(a, b)
      line("  in a sort", isyieldable())
      return a < b
    end)
    line("  in pcall", pcall(isyieldable))
  end)
  line("  from outside", isyieldable(co))
  return resume(co)
end)

case("yield from main", function() return pcall(yield, 1) end)
case("yield in a sort", function()
  return resume(create(function()
    table.sort({ 2, 1 }, function(a, b)
      yield()
      return a < b
    end)
  end))
end)
case("yield in gsub", function()
  return resume(create(function() return (("x"):gsub("x", yield)) end))
end)

case("yield across pcall", function()
  local co = create(function()
    local got = { pcall(function()
      local value = yield("in pcall")
      error(value, 0)
    end) }
    yield(table.unpack(got))
    return pcall(pcall, pcall, yield, "deep")
  end)
  line("  one", resume(co))
  line("  two", resume(co, "raised"))
  line("  three", resume(co))
  return resume(co, 7)
end)
case("yield across xpcall", function()
  local co = create(function()
    return xpcall(function() error(yield(1), 0) end, function(err) return err .. " handled" end)
  end)
  line("  one", resume(co))
  return resume(co, "text")
end)
case("yield in a metamethod", function()
  local mt = { __add = function(_, n)
    return yield(n)
  end, __index = function(_, name) return yield(name) end }
  mt.__lt, mt.__concat = function() return yield("lt") end, function() return yield("concat") end
  local co = create(function()
    local t = setmetatable({}, mt)
    return t + 1, t.name, t < t, t .. "x"
  end)
  line("  add", resume(co))
  line("  index", resume(co, 10))
  line("  lt", resume(co, "field"))
  line("  concat", resume(co, 1))
  return resume(co, "joined")
end)
case("yield in an iterator", function()
  local seen = {}
  local co = create(function()
    for value in function() return yield("next") end do seen[#seen + 1] = value end
    return #seen
  end)
  line("  one", resume(co))
  line("  two", resume(co, "a"))
  line("  three", resume(co, "b"))
  return resume(co)
end)
case("yield in a __close", function()
  local co = create(function()
    local _ <close> = setmetatable({}, { __close = function(_, why) yield("closing", why) end })
    return "result"
  end)
  line("  one", resume(co))
  return resume(co)
end)
case("a generator in a loop, left early", function()
  local seen = {}
  for value in wrap(function() for index = 1, 10 do yield(index) end end) do
    seen[#seen + 1] = value
    if value == 3 then break end
  end
  return #seen
end)
case("generators in generators", function()
  local function count(n) return wrap(function() for index = 1, n do yield(index) end end) end
  local sum = 0
  for a in count(5) do
    for b in count(a) do
      for c in wrap(function() for value in count(b) do yield(value) end end) do sum = sum + c end
    end
  end
  return sum
end)
case("a yield through two levels of coroutines stays in its own", function()
  local inner = wrap(function() yield("inner") return "inner end" end)
  local outer = wrap(function() yield(inner()) return inner() end)
  line("  one", outer())
  return outer()
end)

case("close: suspended", function()
  local closed = {}
  local co = create(function()
    local _ <close> = setmetatable({}, { __close = function(_, why)
      closed[#closed + 1] = why == nil
    end })
    local _ <close> = setmetatable({}, { __close = function(_, why)
      closed[#closed + 1] = why == nil
    end })
    yield()
  end)
  resume(co)
  line("  close", close(co))
  line("  status", status(co), #closed, closed[1])
  line("  resume", resume(co))
  return close(co)
end)
case("close: new and dead", function()
  local co = create(print)
  line("  new", close(co))
  line("  then", status(co), resume(co))
  local dead = create(function() end)
  resume(dead)
  return close(dead)
end)
case("close: an error in __close", function()
  local co = create(function()
    local _ <close> = setmetatable({}, { __close = function(_, why)
      error(tostring(why) .. " then outer", 0)
    end })
    local _ <close> = setmetatable({}, { __close = function() error("inner", 0) end })
    yield()
  end)
  resume(co)
  line("  close", close(co))
  line("  status", status(co))
  return close(co)
end)
case("close: of the failed", function()
  local co = create(function() error("text", 0) end)
  resume(co)
  line("  first", close(co))
  return close(co)
end)
case("close: itself and the one that resumed", function()
  local co
  co = create(function()
    line("  itself", pcall(close, co))
    return wrap(function() return pcall(close, co) end)()
  end)
  return resume(co)
end)
case("close: yields in __close are errors", function()
  local co = create(function()
    local _ <close> = setmetatable({}, { __close = function() yield() end })
    yield()
  end)
  resume(co)
  return close(co)
end)
case("close inside another coroutine", function()
  local co = create(function()
    local _ <close> = setmetatable({}, { __close = function() error("text", 0) end })
    yield()
  end)
  resume(co)
  return wrap(function() return close(co) end)()
end)

case("garbage: suspended ones go", function()
  local weak = setmetatable({}, { __mode = "k" })
  for _ = 1, 100 do
    local co = wrap(function() local t = {} weak[t] = true yield(t) return t end)
    co()
  end
  collectgarbage()
  collectgarbage()
  return next(weak)
end)
case("tracebacks", function()
  local co = create(function() local function inner() yield() end inner() end)
  resume(co)
  return (debug.traceback(co):gsub("[^%s]*coroutines.lua", "FILE"))
end)
case("hooks and upvalues", function()
  local count = 0
  local co = create(function() for _ = 1, 3 do count = count + 1 yield(count) end end)
  debug.sethook(co, function() end, "l")
  line("  one", resume(co))
  line("  two", resume(co))
  return count
end)
case("a permutation generator", function()
  local function permute(list, n)
    if n == 0 then
      yield(list)
      return
    end
    for index = 1, n do
      list[n], list[index] = list[index], list[n]
      permute(list, n - 1)
      list[n], list[index] = list[index], list[n]
    end
  end
  local all = {}
  for list in wrap(function()
    permute({ 1, 2, 3, 4 }, 4)
  end) do all[#all + 1] = table.concat(list) end
  return #all, table.concat(all, " ")
end)
case("a hundred thousand switches", function()
  local co = wrap(function()
    local sum = 0
    while true do sum = sum + yield(sum) end
  end)
  co()
  local last
  for index = 1, 100000 do last = co(index) end
  return last
end)
case("a hundred thousand created", function()
  local sum = 0
  for index = 1, 100000 do sum = sum + wrap(function() return index end)() end
  return sum
end)

for _, name in ipairs(order) do line(name, pcall(cases[name])) end
