-- src/bind/source.c: reading what comes bit by bit.

local core = require "proxylua.core"
local program = require "spec.support.program"
local px = require "proxylua"

describe("a source", function()
  local folder
  setup(function() folder = program.folder() end)
  teardown(function() program.remove(folder) end)

  local function fifo()
    local path = folder .. "/fifo"
    assert(os.execute("rm -f " .. path .. " && mkfifo " .. path))
    local keep = assert(io.open(path, "r+")) -- opening it to read does not wait
    return core.file.source(path), keep
  end

  it("is read piece by piece to its end", function()
    local path = program.write(folder .. "/file", ("x"):rep(100000))
    local source = core.file.source(path)
    local sizes = {}
    for piece in function() return source:read(65536) end do sizes[#sizes + 1] = #piece end
    assert.are.same({ 65536, 34464 }, sizes)
    assert.is_nil(source:read(1))
    source:close()
    assert.matches("the file is closed", select(2, px.try(source.read, source, 1)).message)
  end)

  it("says why it cannot be opened or read", function()
    local source, why = core.file.source(folder .. "/none")
    assert.is_nil(source)
    assert.matches("No such file", why)
    source = core.file.source(folder)
    assert.are.same({ nil, "Is a directory" }, { source:read(1) })
    assert.has.error(function() core.file.source("a\0b") end)
  end)

  it("waits for what comes while other tasks run", function()
    local source, keep = fifo()
    local order = {}
    px.all{
      function()
        local text = source:read(100)
        order[#order + 1] = text
      end,
      function()
        for _ = 1, 3 do px.sleep(0) end
        order[#order + 1] = "others"
        keep:write("text")
        keep:flush()
      end,
    }
    assert.are.same({ "others", "text" }, order)
    keep:close()
  end)

  it("can be waited for where nothing yields", function()
    local source, keep = fifo()
    assert(os.execute(("(sleep 0.05; printf text >%s/fifo) &"):format(folder)))
    local text
    table.sort({ 2, 1 }, function(a, b)
      text = text or source:read(100)
      return a < b
    end)
    assert.are.equal("text", text)
    keep:close()
  end)

  it("is waited for no longer once the task is cancelled, and can be read again", function()
    local source, keep = fifo()
    local task = px.spawn(source.read, source, 100)
    px.sleep(0)
    task:cancel()
    assert.are.equal("cancelled", select(2, px.try(task.join, task)).kind)
    keep:write("text")
    keep:flush()
    assert.are.equal("text", source:read(100))
    keep:close()
  end)

  it("fails to be read by the tasks that wait for it when another task closes it", function()
    local source, keep = fifo()
    local tasks = {}
    for i = 1, 3 do tasks[i] = px.spawn(source.read, source, 100) end
    px.sleep(0)
    source:close()
    -- The number of the closed descriptor goes to the next file, which can be read as usual.
    keep:close()
    local other, more = fifo()
    local reader = px.spawn(other.read, other, 100)
    px.sleep(0)
    more:write("text")
    more:flush()
    for _, task in ipairs(tasks) do
      local _, err = px.try(task.join, task)
      assert.are.same({ "usage", "the file is closed" }, { err.kind, err.message })
      assert.are.equal("failed", task:status())
    end
    assert.are.equal("text", reader:join())
    other:close()
    more:close()
  end)

  it("hands each piece to one of the tasks that wait for it", function()
    local source, keep = fifo()
    local got, others = {}, 0
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = px.spawn(function()
        local text = source:read(4)
        got[#got + 1] = text
      end)
    end
    for _, text in ipairs{ "one ", "two ", "last" } do
      px.sleep(0)
      others = others + 1 -- a blocking read would stop this task
      keep:write(text)
      keep:flush()
    end
    for _, task in ipairs(tasks) do task:join() end
    table.sort(got)
    assert.are.same({ "last", "one ", "two " }, got)
    assert.are.equal(3, others)
    source:close()
    keep:close()
  end)

  it("whose waiter was cancelled affects no other task", function()
    for _ = 1, 20 do
      local source = fifo()
      px.spawn(source.read, source, 1):cancel()
    end
    collectgarbage()
    px.sleep(0)
  end)
end)

describe("proxylua check", function()
  it("is interrupted while it waits for standard input, and says what it knows", function()
    local folder = program.folder()
    local command = program.command(folder, { "--sandbox", "check", "--from", "-",
      "--skip-bad" })
    local line = ("cd %s; exec 3<>fifo; echo 127.0.0.1:1 >&3; %s <&3 >out 2>err & pid=$!; until "
      .. "grep -q refused out; "
      .. "do :; done; kill -INT $pid; wait $pid"):format(folder, command)
    assert(os.execute("mkfifo " .. folder .. "/fifo"))
    local _, _, code = os.execute(("timeout 60 sh -c %s"):format(program.quote(line)))
    assert.are.equal(130, code)
    assert.matches("so far 0 of 1 work", program.read(folder .. "/err"))
    program.remove(folder)
  end)
end)
