-- Shows where to pay, with a QR code of the address, and waits until the money is there.
--   proxylua scripts/deposit.lua [CURRENCY [NETWORK [HOW LONG]]]
local px = require "proxylua"

local currency, network, timeout = arg[1] or "USDT", arg[2] or not arg[1] and "TRC20" or nil,
  arg[3] or "2h"
local balance = px.account.get().balance -- before anybody can pay

local deposit = px.deposits.request{ currency = currency, network = network }
io.write((px.qr.text(deposit.address)))
print(deposit.currency, deposit.network, deposit.address)
if deposit.warning then print("! " .. deposit.warning) end

if px.sandbox() then px.sandbox.deposit(25) end -- the script pays there itself

local risen = px.deposits.wait{ from = balance, timeout = timeout }
print(("%s came in, the balance is %s"):format(risen.rise, risen.balance))
