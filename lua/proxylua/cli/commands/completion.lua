-- `proxylua completion SHELL`: what makes a shell complete the command line. The shell's part is
-- small (share/): it hands the words to `proxylua completion words`, and offers what comes back.

local core = require "proxylua.core"
local parsers = require "proxylua.cli.args.parser"
local names = require "proxylua.util.names"

local M = { summary = "print completion for bash, zsh or fish", bare = true }

local texts = { bash = "share/proxylua.bash", zsh = "share/_proxylua",
  fish = "share/proxylua.fish" }

function M.parser(parser)
  local shell = parser:argument("shell",
    "bash, zsh or fish; words: what may stand in the place of the last WORD")
  parsers.suggest(shell:argname("SHELL"), { "bash", "zsh", "fish" })
  parser:argument("words", "the command line, behind --"):argname("WORD"):args("*")
  parsers.example(parser, "completion bash >~/.local/share/bash-completion/completions/proxylua")
end

-- "files" or "words", then a line a candidate: text, tabulator, summary.
local function answer(words)
  local found = require("proxylua.cli.args.complete").complete(words)
  local lines = { found.files and "files" or "words" }
  for _, item in ipairs(found) do
    lines[#lines + 1] = item.summary and item.text .. "\t" .. item.summary:gsub("%s+", " ")
      or item.text
  end
  core.system.write(table.concat(lines, "\n"), "\n")
end

function M.run(args, context)
  context.screen:refuse_json("completion")
  if args.shell == "words" then return answer(args.words) end
  local text = texts[args.shell]
    or names.usage("completion is there for bash, zsh and fish, not for %s", args.shell)
  core.system.write(core.system.embedded(text))
end

return M
