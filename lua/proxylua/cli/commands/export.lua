-- `proxylua export`: writes proxies of orders, or of a file, in the formats of other programs.

local core = require "proxylua.core"
local export = require "proxylua.proxies.export"
local names = require "proxylua.util.names"
local parsers = require "proxylua.cli.args.parser"
local source = require "proxylua.cli.args.proxy_source"
local tables = require "proxylua.term.table"

local M = {}

local function format_names()
  local list = {}
  for at, format in ipairs(export.formats()) do list[at] = format.name end
  return list
end

function M.parser(parser)
  source.add_to(parser)
  parsers.suggest(parser:option("-f --format",
    "format to write (default: by the name of the file, else url): "
    .. table.concat(format_names(), ", "))
    :argname("FORMAT"), format_names())
  parser:option("--template",
    "template of the line for each proxy, such as '%login%:%password%@%ip%:%port%'")
    :argname("TEMPLATE")
  parser:option("--url", "for curl: URL to fetch through each proxy"):argname("URL")
  parsers.suggest(parser:option("-o --output",
    "file to write, complete or not at all, readable only by you "
    .. "(-: standard output)"):argname("FILE"), "files")
  parser:flag("--reveal", "show passwords on a terminal too"):target("reveal")
  parsers.example(parser, "export --format clash -o clash.yaml",
    "export --from proxies.txt --format proxychains")
end

-- A mask that no format needs to encode; the real mask replaces it in the output.
local HIDDEN <const> = "HIDDEN_PASSWORD"

local function masked(next_proxy)
  return function()
    local proxy = next_proxy()
    if not proxy then return nil end
    local copy = tables.mask(proxy)
    copy.password = proxy.password and HIDDEN
    return copy
  end
end

local function write_masked(text)
  core.system.write((text:gsub(HIDDEN, tables.MASK)))
end

local function check(args, screen)
  if args.format and args.template then
    names.usage("use either --format or --template")
  end
  if not args.output then screen:refuse_json("an export", "use --format json") end
end

local EMPTY <const> = 12 -- exit code: the result is empty

-- An empty result is reported and does not replace the file.
local function report_empty(screen, message)
  screen:note("%s", message)
  core.system.set_exit_code(EMPTY)
end

-- If an order fails, the export fails: the earlier file stays.
local function until_failure(next_proxy, given)
  return function()
    local proxy = next_proxy()
    if proxy == nil then given:raise_failure() end
    return proxy
  end
end

local function write_file(args, screen, options, proxies)
  local progress = screen:progress("written")
  local before = 0
  options.progress = function(count)
    progress:step(count - before)
    before = count
  end
  local ok, result = pcall(export.file, proxies, args.output, options)
  progress:finish()
  return ok, result
end

local function write_screen(args, screen, options, proxies, given)
  if screen.masked then proxies = masked(proxies) end
  local write = screen.masked and write_masked or core.system.write
  options.allow_empty = nil
  local count = export.stream(proxies, write, options)
  given:raise_failure()
  if screen.masked then screen:note("passwords are masked; use -o FILE or --reveal") end
  if count == 0 and not args.allow_empty then report_empty(screen, "no proxies found") end
end

function M.run(args, context)
  local screen = context.screen
  if args.output == "-" then args.output = nil end
  check(args, screen)
  local options = { format = args.format, template = args.template, url = args.url,
    allow_empty = args.allow_empty }
  local next_proxy, given = source.of(args, screen)
  local ok, result
  if args.output then
    ok, result = write_file(args, screen, options, until_failure(next_proxy, given))
  else
    ok, result = pcall(write_screen, args, screen, options, next_proxy, given)
  end
  if not ok and core.error.is(result) and result.code == "empty" then
    return report_empty(screen, result.message)
  end
  if not ok then error(result, 0) end
  given:report()
  if not args.output then return end
  if screen:is_data() then return screen:record(nil, { file = args.output, proxies = result }) end
  screen:note("%d %s in %s", result, result == 1 and "proxy" or "proxies", args.output)
end

return M
