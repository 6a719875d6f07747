#include "bind/engine.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/secret.h"
#include "base/plain.h"
#include "bind/error.h"
#include "bind/money.h"
#include "bind/push.h"
#include "bind/record/record.h"
#include "bind/runtime.h"
#include "bind/sched/sched.h"
#include "bind/sched/wait.h"
#include "net/http.h"
#include "net/url.h"

#define SETTLE_MARGIN_US \
  INT64_C(10000000) /* beyond the timeout of a request: how long closing waits for charges */

static char *text_setting(lua_State *L, int index, const char *name)
{
  char *text = NULL;
  int type = lua_getfield(L, index, name);
  if (type == LUA_TSTRING) {
    text = strdup(lua_tostring(L, -1));
    if (!text) luaL_error(L, "not enough memory");
  } else if (type != LUA_TNIL) {
    error_usage(L, "the setting %s must be a string", name);
  }
  lua_pop(L, 1);
  return text;
}

static double seconds_setting(lua_State *L, int index, const char *name, double absent)
{
  lua_getfield(L, index, name);
  double value = luaL_optnumber(L, -1, absent);
  struct error err = ERROR_INIT;
  error_set(&err, ERROR_CONFIG, "%s must be a number of seconds from 0.001 to 1000000, got %g",
            name, value);
  if (!(value >= 0.001 && value <= 1e6)) error_raise(L, &err);
  lua_pop(L, 1);
  return value;
}

static bool flag_setting(lua_State *L, int index, const char *name)
{
  lua_getfield(L, index, name);
  bool flag = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

static money allowance_setting(lua_State *L, const char *name)
{
  money amount = -1;
  if (lua_getfield(L, -1, name) != LUA_TNIL) amount = money_to(L, lua_gettop(L));
  if (amount < -1) error_usage(L, "spend.%s cannot be negative", name);
  lua_pop(L, 1);
  return amount;
}

static void read_allowance(lua_State *L, int index, struct engine *engine)
{
  struct journal_allowance *allowance = &engine->allowance;
  *allowance = (struct journal_allowance){-1, -1, -1};
  if (lua_getfield(L, index, "spend") == LUA_TTABLE) {
    allowance->per_run = allowance_setting(L, "per_run");
    allowance->per_day = allowance_setting(L, "per_day");
    allowance->per_order = allowance_setting(L, "per_order");
    engine->ignore_elsewhere = flag_setting(L, lua_gettop(L), "ignore_elsewhere");
  }
  lua_pop(L, 1);
}

static void read_limits(lua_State *L, int index, struct limiter_rules *rules)
{
  struct error err = ERROR_INIT;
  lua_getfield(L, index, "limits");
  if (!limiter_rules_parse(luaL_optstring(L, -1, ""), rules, &err)) error_raise(L, &err);
  lua_pop(L, 1);
}

/* The sandbox's key is no secret: it comes with the settings. */
static void read_sandbox(lua_State *L, int index, struct engine *engine)
{
  struct error err = ERROR_INIT;
  if (lua_getfield(L, index, "sandbox") == LUA_TTABLE) {
    free(engine->base_url);
    engine->base_url = NULL;
    engine->base_url = text_setting(L, lua_gettop(L), "url");
    lua_getfield(L, -1, "key");
    engine->key = secret_from_text(luaL_checkstring(L, -1), &err);
    if (!engine->key) error_raise(L, &err);
    engine->sandbox = true;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void hide_countdown(void *arg)
{
  struct engine *engine = arg;
  countdown_hide(&engine->countdown);
}

static void check_base_url(lua_State *L, struct engine *engine)
{
  struct error err = ERROR_INIT;
  char *checked = url_check_base(engine->base_url ? engine->base_url : "", &err);
  if (!checked) error_raise(L, &err);
  free(engine->base_url);
  engine->base_url = checked;
}

void engine_configure(lua_State *L, int index)
{
  struct runtime *runtime = runtime_of(L);
  if (runtime->engine)
    error_usage(L, "px is configured already: settings are given once, before the script");
  struct engine *engine = calloc(1, sizeof *engine);
  if (!engine) luaL_error(L, "not enough memory");
  runtime->engine = engine;
  engine->loop = runtime->sched.loop;
  engine->ask.runtime = runtime;
  runtime->sched.before_code = hide_countdown;
  runtime->sched.before_code_arg = engine;
  engine->base_url = text_setting(L, index, "base_url");
  engine->store_location = text_setting(L, index, "store");
  engine->trace_path = text_setting(L, index, "trace");
  engine->key_file = text_setting(L, index, "api_key_file");
  engine->key_command = text_setting(L, index, "api_key_command");
  engine->ca_file = text_setting(L, index, "ca_file");
  if (engine->ca_file && !http_set_ca(runtime->web, engine->ca_file))
    luaL_error(L, "not enough memory");
  engine->timeout = seconds_setting(L, index, "timeout", PARTS_TIMEOUT);
  engine->max_wait = seconds_setting(L, index, "max_wait", PARTS_MAX_WAIT);
  engine->settle = seconds_setting(L, index, "settle", PARTS_SETTLE);
  engine->dry_run = flag_setting(L, index, "dry_run");
  engine->verbose = runtime->whole_tracebacks = flag_setting(L, index, "verbose");
  engine->quiet = flag_setting(L, index, "quiet");
  read_allowance(L, index, engine);
  read_limits(L, index, &engine->rules);
  read_sandbox(L, index, engine);
  check_base_url(L, engine);
}

static void report(void *arg, const char *text)
{
  struct engine *engine = arg;
  if (engine->log) {
    engine->log(engine->log_arg, text);
    return;
  }
  countdown_hide(&engine->countdown);
  fflush(stdout);
  plain_print(text);
}

/* A process that only slows down looks like one that hangs: the reason is not left to --verbose. */
static void report_pacing(struct engine *engine, const struct limiter_notice *notice)
{
  char text[300];
  long minutes = (long)ceil(notice->seconds / 60);
  snprintf(text, sizeof text,
           "requests wait for each other (limit %s: one in %.2g s), since the API responded with "
           "429 to this key before; normal speed in %ld minute%s",
           notice->scope, notice->pace, minutes, minutes == 1 ? "" : "s");
  report(engine, text);
}

static void report_wait(void *arg, const struct limiter_notice *notice)
{
  struct engine *engine = arg;
  char text[200];
  if (notice->what == LIMITER_PACED) {
    report_pacing(engine, notice);
    return;
  }
  if (!engine->verbose) return;
  snprintf(text, sizeof text, "limit %s: %s, %.1f s", notice->scope,
           notice->what == LIMITER_PAUSE ? "the API asked for a pause" : "waiting for a slot",
           notice->seconds);
  report(engine, text);
}

bool engine_find_key(struct runtime *runtime, struct engine *engine, struct error *err)
{
  if (engine->key) return true;
  if (runtime->key) {
    engine->key = runtime->key;
    runtime->key = NULL;
  } else if (runtime->key_error.kind != ERROR_NONE) {
    *err = runtime->key_error;
  } else if (engine->key_file) {
    engine->key = secret_from_file(engine->key_file, err);
  } else if (engine->key_command) {
    engine->key = secret_from_command(engine->key_command, err);
  } else {
    error_set(err, ERROR_CONFIG,
              "there is no API key. Run proxylua auth login, or set PROXYLUA_API_KEY; to try "
              "proxylua without a key, use --sandbox");
  }
  return engine->key != NULL;
}

static bool open_parts(struct engine *engine, struct error *err)
{
  bool asks = engine->ask.runtime->repl || (ask_can() && !engine->quiet);
  const struct parts_settings settings = {.loop = engine->loop,
                                          .base_url = engine->base_url,
                                          .store = engine->store_location,
                                          .trace = engine->trace_path,
                                          .ca_file = engine->ca_file,
                                          .key = engine->key,
                                          .rules = &engine->rules,
                                          .max_wait = engine->max_wait,
                                          .sandbox = engine->sandbox,
                                          .verbose = engine->verbose,
                                          .warn = report,
                                          .warn_arg = engine,
                                          .charge = {.allowance = engine->allowance,
                                                     .ignore_elsewhere = engine->ignore_elsewhere,
                                                     .dry_run = engine->dry_run,
                                                     .timeout = engine->timeout,
                                                     .settle = engine->settle,
                                                     .tell = report,
                                                     .tell_arg = engine,
                                                     .placed_late =
                                                         engine->ask.runtime->placed_late,
                                                     .placed_late_arg = engine->ask.runtime,
                                                     .ask = asks ? ask_begin : NULL,
                                                     .unask = ask_end,
                                                     .ask_arg = &engine->ask}};
  engine->countdown = (struct countdown){.loop = engine->loop};
  engine->ask.countdown = &engine->countdown;
  return parts_open(&engine->parts, &settings, err);
}

static void watch_waits(struct engine *engine)
{
  struct limiter *limiter = engine->parts.limiter;
  if (engine->verbose || engine->log || !engine->quiet)
    limiter_on_wait(limiter, report_wait, engine);
  if (!engine->quiet && countdown_possible())
    limiter_on_next(limiter, countdown_set, &engine->countdown);
}

static struct engine *configured(lua_State *L)
{
  struct engine *engine = runtime_of(L)->engine;
  if (!engine) error_usage(L, "px is not configured; run the script with proxylua");
  sched_check_process(L);
  return engine;
}

struct engine *engine_use_store(lua_State *L)
{
  struct engine *engine = configured(L);
  struct error err = ERROR_INIT;
  if (!parts_open_store(&engine->parts, engine->loop, engine->store_location, &err))
    error_raise(L, &err);
  return engine;
}

struct engine *engine_use(lua_State *L)
{
  struct runtime *runtime = runtime_of(L);
  struct engine *engine = configured(L);
  if (engine->opened) return engine;
  struct error err = ERROR_INIT;
  if (!engine_find_key(runtime, engine, &err) || !open_parts(engine, &err)) error_raise(L, &err);
  watch_waits(engine);
  engine->opened = true;
  return engine;
}

struct look {
  struct wait wait;
  struct limiter_status status;
  struct error err;
};

static void on_status(void *arg, const struct limiter_status *status, const struct error *err)
{
  (void)status;
  struct look *look = arg;
  if (err) look->err = *err;
  wait_done(&look->wait);
}

static int push_limits(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  const struct look *look = (const struct look *)context;
  if (look->wait.cancelled) return wait_raise(L, false);
  if (look->err.kind != ERROR_NONE) return error_raise(L, &look->err);
  lua_newtable(L);
  for (int i = 0; i < SLOTS_SCOPES; i++) {
    lua_createtable(L, 0, 7);
    set_integer(L, "requests", look->status.scopes[i].count);
    set_integer(L, "free", look->status.scopes[i].free);
    set_integer(L, "waiting", (int64_t)look->status.scopes[i].waiting);
    set_number(L, "seconds", look->status.scopes[i].window);
    set_number(L, "next", look->status.scopes[i].next);
    set_number(L, "paused", look->status.scopes[i].paused);
    set_number(L, "paced", look->status.scopes[i].paced);
    lua_setfield(L, -2, look->status.scopes[i].name);
  }
  set_flag(L, "off", look->status.off);
  return 1;
}

int engine_limits(lua_State *L)
{
  struct engine *engine = engine_use(L);
  struct look *look = lua_newuserdatauv(L, sizeof *look, 0);
  *look = (struct look){.wait = {.cancel = wait_outlast}, .err = ERROR_INIT};
  limiter_status(engine->parts.limiter, &look->status, on_status, look);
  return wait_for(L, &look->wait, push_limits, (lua_KContext)look);
}

void engine_settle(struct engine *engine)
{
  int64_t until = engine ? loop_clock() + (int64_t)(engine->timeout * 1e6) + SETTLE_MARGIN_US : 0;
  while (engine && purchase_busy(engine->parts.purchase) && loop_clock() < until)
    deliver_turn(&engine->ask.runtime->sched, until - loop_clock());
}

void engine_close(struct engine *engine)
{
  if (!engine) return;
  parts_close(&engine->parts);
  secret_close(engine->key);
  free(engine->base_url);
  free(engine->store_location);
  free(engine->trace_path);
  free(engine->key_file);
  free(engine->key_command);
  free(engine->ca_file);
  ask_close(&engine->ask);
  free(engine);
}
