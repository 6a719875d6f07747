std = "lua54"
max_code_line_length = 100
max_string_line_length = 150
max_comment_line_length = 100
self = false
files["spec"] = { std = "+busted" }
files["scripts/plugins"] = { read_globals = { "it", "px", "plugin", "command", "event" } }
