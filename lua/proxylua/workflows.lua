-- The workflows of the standard module: each is loaded when it is first used, since most scripts need none of them.

local function field(module, name)
  return function()
    local loaded = require("proxylua." .. module)
    return name and loaded[name] or loaded
  end
end

--- The names of px that are loaded later: name -> function that answers its value.
return {
  fleet = field "fleet", renew = field("renew", "renew"),
  proxies = field "proxies", export = field "export", check = field "check",
  report = field "report",
  deposit = field("deposit", "find"), qr = field "qr",
  pool = field("pool", "new"),
  alerts = field("alerts", "look"), notify = field("notify", "notify"),
}
