-- `proxylua completion SHELL`: prints the completion script of a shell. The script (share/) is
-- small: it passes the words to `proxylua completion words`, and offers the output.

local core = require "proxylua.core"
local parsers = require "proxylua.cli.args.parser"
local names = require "proxylua.util.names"

local M = { bare = true }

local texts = { bash = "share/proxylua.bash", zsh = "share/_proxylua",
  fish = "share/proxylua.fish" }

function M.parser(parser)
  local shell = parser:argument("shell",
    "bash, zsh or fish; words: candidates for the last WORD")
  parsers.suggest(shell:argname("SHELL"), { "bash", "zsh", "fish" })
  parser:argument("words", "the command line, after --"):argname("WORD"):args("*")
  parsers.example(parser, "completion bash >~/.local/share/bash-completion/completions/proxylua")
end

-- "files" or "words", then one candidate a line: text, tab, summary.
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
    or names.usage("completion supports bash, zsh and fish, got %s", args.shell)
  core.system.write(core.system.embedded(text))
end

return M
