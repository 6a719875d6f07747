# Completion of proxylua in bash: the program itself is asked what may come next.
_proxylua() {
  local program=${COMP_WORDS[0]/#\~/$HOME} words=() word glued= kind lines line cur prefix=
  # bash cuts words at = and :, the program does not.
  for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
    if [[ ${#words[@]} -gt 0 && ( $glued || $word == [=:]* ) ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
    [[ $word == *[=:] ]] && glued=1 || glued=
  done
  cur=${words[-1]}
  mapfile -t lines < <("$program" completion words -- "${words[@]}" 2>/dev/null)
  kind=${lines[0]}
  [[ $cur == *[=:]* && $COMP_WORDBREAKS == *=* ]] && prefix=${cur%"${cur##*[=:]}"}
  COMPREPLY=()
  for line in "${lines[@]:1}"; do
    line=${line%%$'\t'*}
    printf -v line %q "${line#"$prefix"}"
    COMPREPLY+=("$line")
  done
  if [[ $kind == files ]]; then
    compopt -o filenames
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${cur#"$prefix"}")
  fi
}
complete -F _proxylua proxylua
