-- A proxy as a URL, scheme://user:password@host:port with percent-encoding; also with raw
-- credentials, as people write them into URLs all the same.

local bare = require "proxylua.proxies.address.bare"
local records = require "proxylua.proxies.address.record"
local remarks = require "proxylua.proxies.address.remark"

local M = {}

local find, match, sub, lower = string.find, string.match, string.sub, string.lower
local unpack_text = records.unpack_text
local decode, split_place = records.decode, remarks.split_place

-- The last @ before a remark is the one before the host.
local function split(rest)
  local at = match(rest, ".*()@")
  local place = at and sub(rest, at + 1) or rest
  local host, port = split_place(place)
  if not host then return nil, port end
  local record = { host = decode(host), port = port }
  if at then
    local login = sub(rest, 1, at - 1)
    local user, password = match(login, "^([^:]*):(.*)$")
    -- Two proxies on a line look like one whose credentials begin with an address.
    if find(login, "[@,;|]") and find(login, "^[^:]*:%d+%f[%D]")
      and remarks.is_pair(match(login, "^[^:]*:%d+")) then
      return nil, "the credentials begin with host:port; write one proxy a line, percent-encoded"
    end
    record.username, record.password = decode(user or login), password and decode(password)
  end
  return record
end

-- A # may begin a remark that holds an @, or stand in a password.
local function split_with_remark(rest)
  local record, why = split(rest)
  local mark = find(rest, "#", 1, true)
  local short = mark and split(sub(rest, 1, mark - 1))
  if record and short and (record.host ~= short.host or record.port ~= short.port) then
    return nil, "the # may begin a remark or stand in the password, where it must be written %23"
  end
  return short or record, why
end

-- Credentials behind the host, or with a / or ? in them.
local function split_raw(rest)
  local text = match(rest, "^(.-)/?$")
  if find(text, "[/?#,;|]") then return nil end
  local record = bare(text)
  return record and record.username and record or nil
end

-- Links of some programs hold base64 of user:password, or of all that follows the scheme.
local function parse_packed(scheme, rest)
  local packed, tail = match(rest, "^([^?#:@.]+)(.*)$")
  local whole = packed and find(tail, "^[?#]") and packed or packed and tail == "" and packed
  local text = whole and unpack_text(decode(whole))
  if text then return bare(text) end
  local login, place = match(rest, "^([^:@]+)(@.*)$")
  text = login and unpack_text(decode(login))
  if not text or not find(text, ":", 1, true) then return nil end
  if scheme ~= "socks" then
    return nil, "the username may be base64 of user:password; a colon behind it says that it is not"
  end
  return split_with_remark(text:gsub("[^%w:]", records.encode) .. place)
end

--- The record of a URL.
-- @return record; or nil, why it is not a proxy, and the type of what cannot be used, such as "ss"
function M.parse(scheme, rest)
  local protocol = records.protocol(scheme)
  if not protocol then
    if records.is_other(scheme) then
      return nil, ("%s is not a protocol that proxylua can use"):format(scheme), lower(scheme)
    end
    return nil, ("the protocol %s is not known"):format(scheme)
  end
  local record, why = parse_packed(lower(scheme), rest)
  if why then return nil, why end
  if not record then record, why = split_with_remark(rest) end
  if not record then record = split_raw(rest) end
  if not record then return nil, why end
  if record.protocol then return nil, "the protocol is there twice" end
  record.protocol = protocol
  return records.complete(record)
end

--- The scheme of a text and what follows it; nil for a text without one.
function M.scheme(text)
  return match(text, "^(%a[%w+.-]*)://(.*)$")
end

return M
