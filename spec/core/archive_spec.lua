-- core.archive and core.digest: archives made byte by byte, sound ones and hostile ones.

local core = require "proxylua.core"
local program = require "spec.support.program"
local archive = core.archive

local LINK, PIPE, FOLDER = 0xA1FF << 16, 0x11A4 << 16, 0x41ED << 16 -- permissions of unix

local function crc32(text)
  local crc = 0xFFFFFFFF
  for at = 1, #text do
    crc = crc ~ text:byte(at)
    for _ = 1, 8 do crc = (crc >> 1) ~ (0xEDB88320 & -(crc & 1)) end
  end
  return crc ~ 0xFFFFFFFF
end

-- A zip of entries as they are described: name, data (stored), and other fields of the
-- directory.
local function zip_of(entries, count)
  local body, directory, size = {}, {}, 0
  for _, entry in ipairs(entries) do
    local data = entry.data or ""
    local fields = ("<I2I2I2I2I4I4I4I2I2"):pack(entry.flags or 0, entry.method or 0, 0, 0x21,
      entry.crc or crc32(data),
      entry.packed or #data, entry.size or #data, #entry.name, 0)
    body[#body + 1] = ("<I4I2"):pack(0x04034b50, 20) .. fields .. entry.name .. data
    directory[#directory + 1] = ("<I4I2I2"):pack(0x02014b50, 3 << 8 | 20, 20) .. fields
      .. ("<I2I2I2I4I4"):pack(0, 0, 0, entry.external or 0, entry.offset or size) .. entry.name
    size = size + #body[#body]
  end
  local central = table.concat(directory)
  return table.concat(body) .. central
    .. ("<I4I2I2I2I2I4I4I2"):pack(0x06054b50, 0, 0, count or #entries, count or #entries, #central,
    size, 0)
end

local function refused(bytes, expected, limits)
  local ok, err = pcall(archive.read, bytes, limits)
  assert.is_false(ok)
  assert.equals("config", err.kind)
  assert.matches(expected, err.message, 1, true)
end

local function refused_entry(entry, expected)
  refused(zip_of{ { name = "good.lua", data = "return 1" }, entry }, expected)
end

describe("an archive", function()
  local files = {
    { name = "plugin.lua", data = "return {}" },
      { name = "lib/a.lua", data = ("local a = 1\n"):rep(500) },
    { name = "empty", data = "" }, { name = "größe.txt", data = "\0\1\255" },
  }

  it("gives back what was put into it, sorted", function()
    local list = archive.read(archive.write(files))
    local names, data = {}, {}
    for at, file in ipairs(list) do names[at], data[file.name] = file.name, file.data end
    assert.same({ "empty", "größe.txt", "lib/a.lua", "plugin.lua" }, names)
    for _, file in ipairs(files) do assert.equals(file.data, data[file.name]) end
  end)

  it("is the same bytes for the same files in any order", function()
    local turned = {}
    for at, file in ipairs(files) do turned[#files + 1 - at] = file end
    assert.equals(archive.write(files), archive.write(turned))
    assert.equals("4be307833a5fa9e947f853284da4717057989bcafba7dd69c71e6e9b3af77f82",
      core.digest.sha256(archive.write{ { name = "a", data = "a" } }))
  end)

  it("is read by unzip, and read where zip made it", function()
    local folder = program.folder()
    finally(function() program.remove(folder) end)
    program.write(folder .. "/ours.zip", archive.write(files))
    local pipe = assert(io.popen("cd " .. folder
      .. " && unzip -qq -o ours.zip -d out && zip -q -r theirs.zip out"))
    assert(pipe:close())
    assert.equals(files[2].data, program.read(folder .. "/out/lib/a.lua"))
    local list = archive.load(folder .. "/theirs.zip")
    assert.equals("out/empty", list[1].name)
    assert.equals(4, #list)
  end)

  it("is read out of the middle of a file", function()
    local folder = program.folder()
    finally(function() program.remove(folder) end)
    local bytes = archive.write(files)
    local path = program.write(folder .. "/program", ("x"):rep(5000) .. bytes .. "tail")
    assert.equals(4, #archive.load(path, { offset = 5000, size = #bytes }))
    for _, range in ipairs{ { offset = 1000000 }, { offset = 5000, size = #bytes + 100 } } do
      local ok, err = pcall(archive.load, path, range)
      assert.is_false(ok)
      assert.equals("store", err.kind)
      assert.matches("ends before that", err.message)
    end
    assert.is_false(pcall(archive.load, folder))
    assert.is_false(pcall(archive.load, folder .. "/none"))
  end)

  it("takes folders, and no data in them", function()
    local list = archive.read(zip_of{ { name = "lib/", external = FOLDER },
      { name = "lib/a", data = "x" } })
    assert.same({ { name = "lib/a", data = "x" } }, list)
    refused_entry({ name = "lib/", data = "x" }, "is a folder with data")
  end)

  it("has no names that lead out of its folder, or mean something else elsewhere", function()
    local bad = {
      ["/etc/passwd"] = "absolute path", ["../x"] = "the part ..", ["a/../../x"] = "the part ..",
        [".."] = "the part ..",
      ["a//b"] = "an empty part", ["./a"] = "the part .", ["a\\b"] = "a backslash",
        ["..\\x"] = "a backslash",
      ["C:x"] = "a drive", ["a\nb"] = "not plain text", ["a\27[2J"] = "not plain text",
        ["\xFFa"] = "not plain text",
      ["a\0b"] = "a NUL", [("x"):rep(201)] = "too long a name",
        [("x"):rep(60000)] = "too long a name",
        [""] = "no name",
      ["/"] = "absolute path", ["a//"] = "an empty part",
    }
    for name, why in pairs(bad) do refused_entry({ name = name }, why) end
    for _, name in ipairs{ "/x", "../x", "a//b", "", "a\0b" } do
      assert.is_false(pcall(archive.write, { { name = name, data = "" } }))
      assert.is_string(archive.check_name(name))
    end
    assert.is_nil(archive.check_name("lib/a.lua"))
  end)

  it("has no links and no special files", function()
    refused_entry({ name = "link", data = "/etc/passwd", external = LINK }, "is a link")
    refused_entry({ name = "link/", external = LINK }, "is a link")
    refused_entry({ name = "pipe", external = PIPE }, "is a link or a special file")
    refused_entry({ name = "folder", external = FOLDER }, "is a link or a special file")
  end)

  it("has no name twice, nor as a file and a folder", function()
    refused(zip_of{ { name = "a", data = "1" }, { name = "b" }, { name = "a", data = "2" } },
      "appears twice")
    refused(zip_of{ { name = "a", data = "1" }, { name = "a-b" }, { name = "a/b", data = "2" } },
      "is both a file and a folder")
    assert.is_false(pcall(archive.write, { { name = "a", data = "" }, { name = "a", data = "" } }))
  end)

  it("is not encrypted, and packed in no unusual way", function()
    for _, flags in ipairs{ 1, 1 << 6, 1 << 13 } do
      refused_entry({ name = "a", flags = flags }, "is encrypted")
    end
    for _, method in ipairs{ 1, 9, 12, 14, 99 } do
      refused_entry({ name = "a", method = method }, "unusual way")
    end
  end)
end)

describe("a bomb", function()
  local zeros = ("\0"):rep(1 << 20)

  it("is refused by its ratio, also when its directory lies about the size", function()
    local bytes = archive.write{ { name = "bomb", data = zeros } }
    refused(bytes, "bomb is far larger than it looks")
    local honest, lie = ("<I4"):pack(#zeros), ("<I4"):pack(1000)
    refused((bytes:gsub(honest:gsub("%p", "%%%0"), (lie:gsub("%%", "%%%%")))), "bomb is damaged")
    assert.equals(zeros, archive.read(bytes, { ratio = 2000 })[1].data)
  end)

  it("is refused by the size of a file, of all files, and by their number", function()
    local many = {}
    for at = 1, 20 do many[at] = { name = "f" .. at, data = ("0123456789abcdef"):rep(10) } end
    local bytes = archive.write(many)
    assert.equals(20, #archive.read(bytes, { count = 20, file = 160, total = 3200 }))
    refused(bytes, "too many files", { count = 19 })
    refused(bytes, "is too large", { file = 159 })
    refused(bytes, "too large in total", { total = 3199 })
  end)

  it("is refused where all entries are one and the same stretch of bytes", function()
    local entries = { { name = "f1", data = zeros } }
    for at = 2, 80 do
      entries[at] = { name = "f" .. at, size = #zeros, packed = #zeros, offset = 0 }
    end
    refused(zip_of(entries), "")
  end)
end)

describe("damage", function()
  it("is reported when the checksum or the size does not match", function()
    refused_entry({ name = "a", data = "text", crc = 1 }, "a is damaged")
    refused_entry({ name = "a", data = "text", size = 5 }, "a is damaged")
    refused_entry({ name = "a", data = "text", size = 0xFFFFFFF0, packed = 0xFFFFFFF0 },
      "a is too large")
    refused_entry({ name = "a", data = "text", offset = 0x7FFFFFFF }, "a is damaged")
    refused_entry({ name = "a", data = "text", method = 8 }, "a is damaged")
    for _, count in ipairs{ 0, 1, 3 } do
      refused(zip_of({ { name = "a", data = "text" }, { name = "b" } }, count),
        "directory is damaged")
    end
    refused(zip_of({ { name = "a", data = "text" } }, 65535), "")
  end)

  it("is reported at each length to which an archive is cut", function()
    local bytes = archive.write{ { name = "a", data = ("text"):rep(20) },
      { name = "b", data = "x" } }
    for size = 0, #bytes - 1 do refused(bytes:sub(1, size), "") end
  end)

  it("never returns data other than what was written, for a change of any byte", function()
    math.randomseed(20261125)
    local files = { { name = "a", data = ("text"):rep(20) }, { name = "b", data = "x" } }
    local bytes = archive.write(files)
    for _ = 1, 3000 do
      local changed = { bytes:byte(1, -1) }
      for _ = 1, math.random(4) do changed[math.random(#changed)] = math.random(0, 255) end
      local ok, list = pcall(archive.read, string.char(table.unpack(changed)))
      if not ok then
        assert.equals("config", list.kind, tostring(list))
      else
        for _, file in ipairs(list) do
          assert.is_true(file.data == files[1].data or file.data == "x")
        end
      end
    end
  end)

  it("is reported for random bytes", function()
    math.randomseed(20261125)
    for _ = 1, 2000 do
      local bytes = {}
      for at = 1, math.random(0, 300) do bytes[at] = string.char(math.random(0, 255)) end
      refused(table.concat(bytes), "")
      refused(table.concat(bytes) .. ("<I4I2I2I2I2I4I4I2"):pack(0x06054b50, 0, 0, 1, 1,
        math.random(0, 99),
        math.random(0, 99), 0), "")
    end
  end)

  it("of the arguments is reported", function()
    assert.is_false(pcall(archive.read, "x", { counts = 1 }))
    assert.is_false(pcall(archive.read, "x", { count = -1 }))
    assert.is_false(pcall(archive.write, { "a" }))
    assert.is_false(pcall(archive.write, { { name = "a" } }))
    assert.is_false(pcall(archive.load, "a\0b"))
  end)
end)

describe("a digest", function()
  it("is SHA-256", function()
    assert.equals("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      core.digest.sha256(""))
    assert.equals("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      core.digest.sha256("abc"))
    assert.are_not.equals(core.digest.sha256("abc"), core.digest.sha256("abc\0"))
  end)
end)
