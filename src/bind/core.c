/* `proxylua.core`, the private module between C and the standard module: each binding pushes its
 * part. */
#include "bind/modules.h"

#include <lauxlib.h>

#include "base/version.h"
#include "bind/api.h"
#include "bind/error.h"
#include "bind/json.h"
#include "bind/money.h"
#include "bind/push.h"
#include "bind/record/record.h"
#include "bind/repl/repl.h"
#include "bind/system.h"

int core_open(lua_State *L)
{
  static const struct {
    const char *name;
    void (*open)(lua_State *L);
  } parts[] = {{"money", money_open},
               {"json", json_open},
               {"error", error_open},
               {"task", task_open},
               {"endpoints", endpoint_open},
               {"sandbox", sandbox_open},
               {"http", web_open},
               {"api", api_open},
               {"system", system_open},
               {"data", data_open},
               {"record", record_open},
               {"journal", journal_open},
               {"repl", repl_open},
               {"doctor", doctor_open},
               {"login", login_open},
               {"notes", notes_open},
               {"pattern", pattern_open},
               {"text", text_open},
               {"archive", archive_open},
               {"digest", digest_open},
               {"plugin", plugin_open},
               {"folder", folder_open},
               {"bundle", bundle_module_open},
               {"pool", pool_open},
               {"gateway", gateway_module_open},
               {"qr", qr_open},
               {"file", file_open},
               {"quote", quote_open},
               {"document", document_module_open},
               {"decode", decode_open},
               {"tally", tally_open},
               {"arity", arity_open}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    parts[i].open(L);
    lua_setfield(L, -2, parts[i].name);
  }
  set_text(L, "version", PROXYLUA_VERSION);
  return 1;
}
