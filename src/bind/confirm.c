/* One question for all charges of a plan. */
#include <lauxlib.h>

#include "bind/engine.h"
#include "bind/error.h"
#include "bind/money.h"
#include "bind/runtime.h"
#include "bind/sched/wait.h"

struct confirm {
  struct wait wait;
  struct engine *engine;
  money total;
  bool yes, allowed;
};

static void on_reply(void *arg, bool yes)
{
  struct confirm *confirm = arg;
  confirm->yes = yes;
  confirm->allowed = yes && purchase_allow(confirm->engine->parts.purchase, confirm->total);
  wait_done(&confirm->wait);
}

static void withdraw(struct wait *wait)
{
  ask_end(&((struct confirm *)wait)->engine->ask);
}

static int finish(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  const struct confirm *confirm = (const struct confirm *)context;
  if (confirm->wait.cancelled) return wait_raise(L, false);
  if (confirm->yes && !confirm->allowed)
    return error_usage(L, "settings limit what may be spent; a confirmation cannot raise that");
  lua_pushboolean(L, confirm->yes);
  return 1;
}

int engine_confirm(lua_State *L)
{
  const char *words = luaL_checkstring(L, 1);
  money total = money_to(L, 2);
  const money *balance = lua_isnoneornil(L, 3) ? NULL : money_test(L, 3);
  struct engine *engine = engine_use(L);
  if (!ask_can()) return error_usage(L, "cannot ask for confirmation without a terminal");
  struct confirm *confirm = lua_newuserdatauv(L, sizeof *confirm, 0);
  *confirm = (struct confirm){.wait = {.cancel = withdraw}, .engine = engine, .total = total};
  ask_total(&engine->ask, words, total, balance, on_reply, confirm);
  return wait_for(L, &confirm->wait, finish, (lua_KContext)confirm);
}
