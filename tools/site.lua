-- Writes the documentation as a site: the pages, the commands and the reference, with a search. It
-- loads nothing from the network and works from a folder.
--   build/proxylua tools/site.lua FOLDER

local commands = require "proxylua.cli.commands"
local core = require "proxylua.core"
local help = require "proxylua.help"
local px = require "proxylua"
local reference = require "proxylua.help.reference"
local xml = require "proxylua.util.xml"

local escape = xml.escape

local folder = assert(arg[1], "the folder is missing")

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local function write(name, text)
  local file <close> = assert(io.open(folder .. "/" .. name, "w"))
  assert(file:write(text))
end

-- Text of the reference, where backquotes mark code.
local function inline(text)
  return (escape(text):gsub("`([^`]*)`", "<code>%1</code>"))
end

-- --- pages ---

-- The address of each page in the site, by its path.
local pages, order = {}, {}

local function add_page(path, address)
  pages[path] = { path = path, address = address, title = read(path):match("^# ([^\n]+)") }
  order[#order + 1] = pages[path]
end

add_page("README.md", "index.html")
pages["README.md"].title = "Overview"
for name in read("docs/index.md"):gmatch("%]%(([%w-]+)%.md%)") do
  local path = ("docs/%s.md"):format(name)
  if not pages[path] then add_page(path, name .. ".html") end
end
for _, name in ipairs{ "CONTRIBUTING", "CHANGELOG", "SECURITY" } do
  add_page(name .. ".md", name:lower() == "security" and "security-policy.html"
    or name:lower() .. ".html")
end
pages["docs/index.md"] = { address = "index.html" }
local extra = {
  { address = "commands.html", title = "Commands" }, { address = "reference.html",
    title = "Reference of px" },
}

-- The path that a link of a page names, without "..".
local function resolve(path, link)
  local whole = (path:match("^(.*/)") or "") .. link
  return (whole:gsub("[^/]+/%.%./", ""))
end

-- Links to pages lead to their addresses; a link to another file of the sources becomes its text.
local function relink(path, html)
  return (html:gsub('<a href="([^"]*)">(.-)</a>', function(link, text)
    if link:find("^%a+:") or link:find("^#") then return nil end
    local file, anchor = link:match("^([^#]*)(#?.*)$")
    local page = pages[resolve(path, file)]
    return page and ('<a href="%s%s">%s</a>'):format(page.address, anchor, text) or text
  end))
end

local function slug(heading)
  local text = heading:gsub("<[^>]*>", ""):gsub("&%a+;", "")
  return (text:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end

local function to_html(path)
  local pipe = assert(io.popen("cmark-gfm -e table " .. path))
  local html = pipe:read("a")
  assert(pipe:close(), "cmark-gfm failed")
  html = html:gsub("<h([1-3])>(.-)</h%1>", function(rank, heading)
    return ('<h%s id="%s">%s</h%s>'):format(rank, slug(heading), heading, rank)
  end)
  html = html:gsub("<table>.-</table>", '<div class="table">%0</div>'):gsub('src="docs/', 'src="')
  return relink(path, html)
end

-- --- commands and reference ---

local function help_of(words)
  local pipe = assert(io.popen(("COLUMNS=90 %s help %s"):format(
    core.system.real_path("/proc/self/exe"), words)))
  local text = pipe:read("a")
  assert(pipe:close())
  return text
end

local function commands_html()
  local out = { '<h1 id="commands">Commands</h1>\n' }
  local function add(words)
    out[#out + 1] = ('<h2 id="%s">%s</h2>\n<pre>%s</pre>\n'):format(slug(words), words,
      escape(help_of(words)))
  end
  for _, group in ipairs(help.groups()) do
    for at = 2, #group do
      if commands.is_core(group[at]) then add(group[at]) end
    end
  end
  for _, topic in ipairs(help.topics()) do
    if topic == "options" or topic == "exit-codes" then add(topic) end
  end
  return table.concat(out)
end

local function rows(title, list)
  if #list == 0 then return "" end
  local out = { ("<p>%s</p>\n<dl>\n"):format(title) }
  for _, row in ipairs(list) do
    out[#out + 1] = ("<dt><code>%s</code></dt><dd>%s</dd>\n"):format(escape(row.name),
      inline(row.type and reference.about(row) or row.text))
  end
  return table.concat(out) .. "</dl>\n"
end

local function texts(title, list)
  local out = {}
  for _, text in ipairs(list) do out[#out + 1] = ("<p>%s: %s</p>\n"):format(title, inline(text)) end
  return table.concat(out)
end

local function returns_of(entry)
  local list = {}
  for at, result in ipairs(entry.returns) do
    local record, fields = reference.record_of(result.type), {}
    for position, field in ipairs(record and record.fields or {}) do
      fields[position] = ("`%s`"):format(field.name)
    end
    list[at] = reference.about(result)
      .. (#fields > 0 and ("; %s: %s"):format(record.name, table.concat(fields, ", ")) or "")
  end
  return list
end

local function entry_html(entry)
  return ('<h2 id="%s">%s</h2>\n'):format(entry.name, escape(entry.name))
    .. ("<pre>%s</pre>\n<p>%s</p>\n"):format(escape(reference.signature(entry)), inline(entry.text))
    .. rows("Parameters", entry.params) .. texts("Returns", returns_of(entry))
    .. texts("Raises", entry.raises) .. ("<pre>%s</pre>\n"):format(escape(entry.usage))
end

local function reference_html()
  local out = { '<h1 id="reference">Reference of px</h1>\n',
    '<p>The functions for scripts. In the examples, <code>px</code> is the module, '
    .. "<code>order</code> an order, and <code>proxies</code> its proxies.</p>\n" }
  for _, entry in ipairs(reference.all()) do out[#out + 1] = entry_html(entry) end
  return table.concat(out)
end

-- --- the site ---

local function navigation(current)
  local out = {}
  local function add(page)
    local mark = page == current and ' aria-current="page"' or ""
    out[#out + 1] = ('<li><a href="%s"%s>%s</a></li>'):format(page.address, mark,
      escape(page.title))
  end
  for _, page in ipairs(order) do add(page) end
  for _, page in ipairs(extra) do add(page) end
  return table.concat(out, "\n")
end

local template = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s - proxylua</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
</head>
<body>
<header>
<a href="index.html">proxylua %s</a>
<a href="#pages">Pages</a>
<input id="search" type="search" placeholder="Search (press /)" aria-label="Search">
</header>
<ul id="results"></ul>
<div class="page">
<nav id="pages"><ul>
%s
</ul></nav>
<main>
%s</main>
</div>
<script src="index.js"></script>
<script src="search.js"></script>
</body>
</html>
]]

local sections = {}

local function plain(html)
  local text = html:gsub("<[^>]*>", " "):gsub("%s+", " ")
  return (xml.unescape(text):gsub("^ ", ""))
end

-- Each heading and the text below it can be found.
local function index(page, html)
  for section in (html:gsub("<h[1-3] id=", "\0%0") .. "\0"):gmatch("([^\0]+)\0") do
    local id, heading, text = section:match('^<h%d id="([^"]*)">(.-)</h%d>(.*)$')
    if id then
      sections[#sections + 1] = { page.title, plain(heading), page.address .. "#" .. id,
        plain(text) }
    end
  end
end

local function put(page, html)
  index(page, html)
  write(page.address, template:format(escape(page.title), px.version, navigation(page),
    html))
end

for _, page in ipairs(order) do put(page, to_html(page.path)) end
put(extra[1], commands_html())
put(extra[2], reference_html())
write("index.js", "const sections = " .. core.json.encode(sections) .. ";\n")
write("style.css", read("tools/site/style.css"))
write("search.js", read("tools/site/search.js"))
write("demo.svg", read("docs/demo.svg"))
