# Completion of proxylua in fish: the program itself is asked what may come next.
function __proxylua_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l lines ($words[1] completion words -- $words[2..] "$current" 2>/dev/null)
  if test "$lines[1]" = files
    __fish_complete_path (string replace -r -- '^--[^=]*=' '' "$current")
  end
  for line in $lines[2..]
    echo $line
  end
end
complete -c proxylua -f -a '(__proxylua_complete)'
