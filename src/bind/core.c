/* `proxylua.core`, the private module between C and the standard module: each binding pushes its part. */
#include "bind/core.h"

#include <lauxlib.h>

#include "bind/archive.h"
#include "bind/data.h"
#include "bind/doctor.h"
#include "bind/door.h"
#include "bind/embedded.h"
#include "bind/endpoint.h"
#include "bind/error.h"
#include "bind/folder.h"
#include "bind/journal.h"
#include "bind/json.h"
#include "bind/money.h"
#include "bind/notes.h"
#include "bind/plugin.h"
#include "bind/record.h"
#include "bind/repl.h"
#include "bind/sandbox.h"
#include "bind/system.h"
#include "bind/task.h"
#include "bind/text.h"
#include "bind/web.h"
#include "core/version.h"

int core_open(lua_State *L)
{
  static const struct {
    const char *name;
    void (*open)(lua_State *L);
  } parts[] = {{"money", money_open},   {"json", json_open},          {"error", error_open},
               {"task", task_open},     {"endpoints", endpoint_open}, {"sandbox", sandbox_open},
               {"http", web_open},      {"door", door_open},          {"system", system_open},
               {"data", data_open},     {"record", record_open},      {"journal", journal_open},
               {"repl", repl_open},     {"doctor", doctor_open},      {"notes", notes_open},
               {"text", text_open},     {"archive", archive_open},    {"digest", digest_open},
               {"plugin", plugin_open}, {"folder", folder_open}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    parts[i].open(L);
    lua_setfield(L, -2, parts[i].name);
  }
  lua_pushliteral(L, PROXYLUA_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}
