-- The exit codes, as help and the manual page list them.

return {
  { 0, "success" },
  { 1, "the script failed: usage, internal, or any other error of Lua" },
  { 2, "wrong call or configuration: config, and usage of a command" },
  { 3, "the API refused: auth, forbidden, not_found, invalid, funds, key_reused" },
  { 4, "network, upstream, timeout, protocol, rate_limited, store, or standard output cannot be "
    .. "written" },
  { 5, "outcome_unknown: it is not known whether a purchase was made" },
  { 6, "spend_refused: the limits do not allow the purchase" },
  { 10, "with --exit-code: fleet plan has something to do" },
  { 11, "with --exit-code: some of the checked proxies do not work" },
  { 12, "nothing was there: no proxy to check, no value of a setting, no key to remove" },
  { 75, "another run holds the lock of --lock" },
  { 130, "cancelled: interrupted" },
}
