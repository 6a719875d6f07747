-- The source of a plugin: a folder, a .plx file or a URL, as the list of its files and its
-- manifest.

local core = require "proxylua.core"
local manifests = require "proxylua.plugin.package.manifest"
local names = require "proxylua.util.names"
local plain = require "proxylua.util.text"

local M = {}

local LIMITS = { count = 300, file = 4 << 20, total = 16 << 20 }
local MAX_BYTES, TIMEOUT, REDIRECTS = 8 << 20, 60, 5

local function refuse(format, ...)
  core.error.raise{ kind = "config", message = format:format(...) }
end

-- Hidden files, packed plugins and files for tests are not part of a plugin.
local function is_left_out(path)
  return path:find("^%.") or path:find("/%.") or path:find("%.plx$") or path == "spec"
    or path:find("^spec/")
end

local function check_file(file)
  if not plain.is_line(file.name) then
    refuse("the file name %s has characters that hide or rearrange it", plain.line(file.name))
  end
  if is_left_out(file.name) then
    refuse("%s cannot be part of a plugin; proxylua plugin pack leaves it out", file.name)
  end
  if not file.name:find("%.lua$") then return end
  if file.data:find("^\27") then refuse("%s is compiled Lua; plugins must be source "
    .. "code", file.name) end
  local chunk, why = load(file.data, "=" .. file.name, "t", {})
  if not chunk then refuse("%s", why) end
end

--- Makes a plugin of a list of files.
-- @param files list of {name, path, data}: name in the plugin, and source
-- @param from text, their source
-- @return table: files, manifest, from
-- @raise config
function M.of_files(files, from)
  local found = {}
  for _, file in ipairs(files) do
    found[file.name] = file.data
    check_file(file)
  end
  for _, name in ipairs{ "plugin.lua", "main.lua" } do
    if not found[name] then refuse("%s is not a plugin: it has no %s", from, name) end
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
  if #list > LIMITS.count then refuse("it has more than %d files", LIMITS.count) end
  if list.total > LIMITS.total then
    refuse("it is larger than %d MiB", LIMITS.total >> 20)
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
      refuse("%s is a link or a special file, which plugins cannot contain", path)
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
-- @param from text, their source
-- @param sha256 the required digest, nil: any
-- @raise config
function M.of_bytes(bytes, from, sha256)
  local digest = core.digest.sha256(bytes)
  if sha256 and sha256:lower() ~= digest then
    refuse("%s does not have the expected SHA-256; it has %s", from, digest)
  end
  local plugin = M.of_files(core.archive.read(bytes, LIMITS), from)
  for _, file in ipairs(plugin.files) do file.path = from end
  plugin.sha256 = digest
  return plugin
end

local function of_file(path, sha256)
  local bytes, why = core.system.read_file(path, MAX_BYTES)
  if not bytes then refuse("cannot read %s: %s", path, why) end
  return M.of_bytes(bytes, core.system.real_path(path), sha256)
end

local hosts_here = { ["127.0.0.1"] = true, ["[::1]"] = true, localhost = true }

-- The whole URL, which may be relative to another. Only https and loopback are allowed, since other
-- downloads could be changed on the way.
local function check_url(text, base)
  local url, scheme, host, _, user = core.plugin.url(text, base)
  if not url or user or not (scheme == "https"
    or (scheme == "http" and hosts_here[host:lower()])) then
    refuse("the URL of a plugin must be https or loopback, got %s", text)
  end
  return url
end

-- A redirect is chosen by the server: it must not lead to this machine or its network. The request
-- connects to public addresses only.
local function check_redirect(text, base)
  local url, scheme, _, _, user = core.plugin.url(text, base)
  if not url or user or scheme ~= "https" then
    refuse("%s redirects to %s; only public https URLs are allowed", base, text)
  end
  return url
end

local function fetch(place)
  local url, reach = check_url(place), nil
  for _ = 0, REDIRECTS do
    local answer = core.http.get(url, { redirects = 0, max_body = MAX_BYTES, timeout = TIMEOUT },
      reach)
    local location = answer.headers.location
    if answer.ok then return answer.body end
    if answer.status < 300 or answer.status > 399 or not location then
      core.error.raise{ kind = "network", status = answer.status,
        message = ("%s responds with status %d"):format(url, answer.status) }
    end
    url, reach = check_redirect(location, url), "public"
  end
  refuse("%s redirects too often", place)
end

--- The plugin in a file or a folder, or at a URL.
-- @param place path or URL
-- @param sha256 the required digest of an archive, nil: any
-- @raise usage, config; what px.http.get raises
function M.open(place, sha256)
  if sha256 and not sha256:find("^%x+$") or sha256 and #sha256 ~= 64 then
    names.usage("--sha256 takes 64 hexadecimal digits")
  end
  if place:find("^%a[%w+.-]*://") then return M.of_bytes(fetch(place), place, sha256) end
  local kind = core.system.kind(place)
  if kind == "folder" and sha256 then
    names.usage("--sha256 can be used only for an archive, and %s is a folder", place)
  end
  if kind == "folder" then return M.of_folder(place) end
  if not kind then
    names.usage("there is no plugin %s: no such file or folder", place)
  end
  return of_file(place, sha256)
end

return M
