-- Stands in for proxylua/plugin/guest/init.lua: what the process of a plugin could do if a fault in
-- the interpreter had handed it over. It sends to the parent what the plugin's main module asks
-- for, which gets `core`.

local core = ...

return function()
  local kind, number, what, _, modules = core.receive()
  assert(kind == "c" and what == "start")
  core.send("r", number)
  local forge = load(modules["main.lua"])
  while true do
    local _, call = core.receive()
    forge(core, call)
  end
end
