-- Where a plugin comes from: a folder, a .plx file or a URL, each as the list of its files and what
-- its plugin.lua says.

local core = require "proxylua.core"
local manifests = require "proxylua.plugin.package.manifest"
local names = require "proxylua.util.names"
local plain = require "proxylua.util.text"

local M = {}

local LIMITS = { count = 300, file = 4 << 20, total = 16 << 20 }
local MOST_BYTES, TIMEOUT, REDIRECTS = 8 << 20, 60, 5

local function refuse(format, ...)
  core.error.raise{ kind = "config", message = format:format(...) }
end

-- Hidden files, packed plugins and what only tests need are no part of a plugin.
local function is_left_out(path)
  return path:find("^%.") or path:find("/%.") or path:find("%.plx$") or path == "spec"
    or path:find("^spec/")
end

local function check_file(file)
  if not plain.is_line(file.name) then
    refuse("%s is a name that shows as another", plain.line(file.name))
  end
  if is_left_out(file.name) then
    refuse("%s is no part of a plugin; proxylua plugin pack leaves it out", file.name)
  end
  if not file.name:find("%.lua$") then return end
  if file.data:find("^\27") then refuse("%s is compiled Lua; plugins are text", file.name) end
  local chunk, why = load(file.data, "=" .. file.name, "t", {})
  if not chunk then refuse("%s", why) end
end

--- Takes a list of files for a plugin.
-- @param files list of {name, path, data}: in the plugin, and where that is from
-- @param from text, where they come from
-- @return table: files, manifest, from
-- @raise config
function M.of_files(files, from)
  local found = {}
  for _, file in ipairs(files) do
    found[file.name] = file.data
    check_file(file)
  end
  for _, name in ipairs{ "plugin.lua", "main.lua" } do
    if not found[name] then refuse("%s is no plugin: there is no %s in it", from, name) end
  end
  local manifest = manifests.read(found["plugin.lua"])
  manifests.check_modules(manifest, found)
  return { files = files, manifest = manifest, from = from }
end

local function add_file(list, path, name)
  local why = core.archive.check_name(name)
  if why then refuse("%s %s", name, why) end
  local data, failure = core.system.read_file(path, LIMITS.file)
  if not data then refuse("cannot read %s: %s", path, failure) end
  list[#list + 1] = { name = name, path = path, data = data }
  list.total = list.total + #data
  if #list > LIMITS.count then refuse("there are more than %d files in it", LIMITS.count) end
  if list.total > LIMITS.total then
    refuse("there are more than %d MiB in it", LIMITS.total >> 20)
  end
end

local function add_folder(list, folder, prefix)
  local entries, why = core.folder.list(folder)
  if not entries then refuse("cannot read the folder %s: %s", folder, why) end
  for _, entry in ipairs(entries) do
    local path, name = folder .. "/" .. entry.name, prefix .. entry.name
    if is_left_out(name) then goto next end
    if entry.kind == "folder" then
      add_folder(list, path, name .. "/")
    elseif entry.kind == "file" then
      add_file(list, path, name)
    else
      refuse("%s is a link or a special file, which no plugin has", path)
    end
    ::next::
  end
  return list
end

--- The plugin in a folder.
-- @raise config
function M.of_folder(path)
  local files = add_folder({ total = 0 }, path, "")
  files.total = nil
  return M.of_files(files, core.system.real_path(path))
end

--- The plugin in the bytes of an archive.
-- @param from text, where they come from
-- @param sha256 the digest that they must have, nil: any
-- @raise config
function M.of_bytes(bytes, from, sha256)
  local digest = core.digest.sha256(bytes)
  if sha256 and sha256:lower() ~= digest then
    refuse("%s is not what was expected: its SHA-256 is %s", from, digest)
  end
  local plugin = M.of_files(core.archive.read(bytes, LIMITS), from)
  for _, file in ipairs(plugin.files) do file.path = from end
  plugin.sha256 = digest
  return plugin
end

local function of_file(path, sha256)
  local bytes, why = core.system.read_file(path, MOST_BYTES)
  if not bytes then refuse("cannot read %s: %s", path, why) end
  return M.of_bytes(bytes, core.system.real_path(path), sha256)
end

local hosts_here = { ["127.0.0.1"] = true, ["[::1]"] = true, localhost = true }

-- The whole URL, which may be relative to another. What is on the way could be changed, but for
-- https and what never leaves this machine.
local function check_url(text, base)
  local url, scheme, host, _, user = core.plugin.url(text, base)
  if not url or user or not (scheme == "https"
    or (scheme == "http" and hosts_here[host:lower()])) then
    refuse("plugins come from https URLs, or from this machine; not from %s", text)
  end
  return url
end

-- A server chooses where a redirect leads: it must not lead into this machine or its network. The
-- request connects to public addresses only.
local function check_redirect(text, base)
  local url, scheme, _, _, user = core.plugin.url(text, base)
  if not url or user or scheme ~= "https" then
    refuse("%s leads to %s; redirects are followed to public https URLs only", base, text)
  end
  return url
end

local function fetch(place)
  local url, reach = check_url(place), nil
  for _ = 0, REDIRECTS do
    local answer = core.http.get(url, { redirects = 0, max_body = MOST_BYTES, timeout = TIMEOUT },
      reach)
    local location = answer.headers.location
    if answer.ok then return answer.body end
    if answer.status < 300 or answer.status > 399 or not location then
      core.error.raise{ kind = "network", status = answer.status,
        message = ("%s answers with the status %d"):format(url, answer.status) }
    end
    url, reach = check_redirect(location, url), "public"
  end
  refuse("%s leads on and on", place)
end

--- The plugin in a file, in a folder or behind a URL.
-- @param place path or URL
-- @param sha256 the digest that an archive must have, nil: any
-- @raise usage, config; what px.http.get raises
function M.open(place, sha256)
  if sha256 and not sha256:find("^%x+$") or sha256 and #sha256 ~= 64 then
    names.usage("--sha256 takes 64 hexadecimal digits")
  end
  if place:find("^%a[%w+.-]*://") then return M.of_bytes(fetch(place), place, sha256) end
  local kind = core.system.kind(place)
  if kind == "folder" and sha256 then
    names.usage("--sha256 goes with an archive, and %s is a folder", place)
  end
  if kind == "folder" then return M.of_folder(place) end
  if not kind then
    names.usage("there is no plugin %s: no file and no folder of that name", place)
  end
  return of_file(place, sha256)
end

return M
