#include "bind/box.h"
#include "bind/modules.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bind/engine.h"
#include "bind/error.h"
#include "bind/json.h"
#include "bind/money.h"
#include "bind/push.h"
#include "bind/wait_job.h"

#define TYPE "proxylua.journal"
#define USUAL_LIMIT 100
#define MAX_LIMIT 1000
#define MAX_BASE 390 /* bytes of the base URL that an account begins with, see charge/charge.c */

/* A query in progress: a userdata on the waiting thread's stack, above the strings that its jobs
 * borrow. Its finalizer frees the store's results, so that errors may be raised meanwhile. */
struct look {
  struct wait_job wait;
  const struct engine *engine;
  int (*next)(lua_State *L, struct look *look); /* once the account is looked up */
  struct journal_account account;
  struct journal_list list;
  const char *prefix; /* of the keys wanted, or NULL */
  struct journal_find find;
  struct journal_settle settle;
  struct journal_prune prune;
  struct journal_retire retire;
};

static int collect(lua_State *L)
{
  struct look *look = luaL_checkudata(L, 1, TYPE);
  free(look->account.account);
  look->account.account = NULL;
  journal_list_free(&look->list);
  journal_entry_free(&look->find.entry);
  return 0;
}

static struct look *push_look(lua_State *L, int (*next)(lua_State *L, struct look *look))
{
  const struct engine *engine = engine_use(L);
  struct look *look = box_push(L, sizeof *look, TYPE, collect, NULL);
  *look = (struct look){.engine = engine, .next = next};
  return look;
}

static int after_account(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  struct look *look = (struct look *)context;
  wait_job_check(L, &look->wait);
  return look->next(L, look);
}

/* Looks up whose journal it is, and goes on with look->next. */
static int find_account(lua_State *L, struct look *look)
{
  look->account = (struct journal_account){.key = limiter_key(look->engine->parts.limiter)};
  wait_job_begin(&look->wait, &look->account.job);
  journal_account(look->engine->parts.store, &look->account);
  return wait_job_for(L, &look->wait, after_account, look);
}

/* Of this account; while that is not known, of this base URL. */
static bool is_ours(const struct look *look, const struct journal_entry *entry)
{
  if (look->account.account) return strcmp(entry->account, look->account.account) == 0;
  const char *base = client_base_url(look->engine->parts.client);
  size_t size = strnlen(base, MAX_BASE);
  return strncmp(entry->account, base, size) == 0 && entry->account[size] == ' ';
}

static void set_money(lua_State *L, const char *name, money amount)
{
  money_push(L, amount);
  lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, int64_t microseconds)
{
  char text[32];
  struct tm utc;
  time_t seconds = (time_t)(microseconds / 1000000);
  if (gmtime_r(&seconds, &utc) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0)
    set_text(L, name, text);
}

static bool is_running(const struct journal_entry *entry)
{
  return (entry->state == JOURNAL_INTENT || entry->state == JOURNAL_SENT) &&
         journal_is_running(entry);
}

static void push_entry(lua_State *L, const struct journal_entry *entry)
{
  lua_createtable(L, 0, 20);
  set_integer(L, "id", entry->id);
  set_text(L, "account", entry->account);
  set_text(L, "key", entry->key);
  set_text(L, "endpoint", entry->endpoint);
  set_text(L, "params", entry->params);
  set_money(L, "quote", entry->quote);
  set_text(L, "state", journal_state_name(entry->state));
  set_flag(L, "open", JOURNAL_OPEN >> entry->state & 1);
  set_text(L, "order_id", entry->order_id);
  if (entry->price != JOURNAL_NO_PRICE) set_money(L, "price", entry->price);
  set_text(L, "answer", entry->answer);
  set_text(L, "snapshot", entry->snapshot);
  set_text(L, "note", entry->note);
  set_text(L, "host", entry->host);
  set_integer(L, "pid", entry->pid);
  set_text(L, "run_id", entry->run_id);
  set_text(L, "day", entry->day);
  set_time(L, "created_at", entry->created_at);
  set_time(L, "updated_at", entry->updated_at);
  if (entry->pruned) set_flag(L, "pruned", true);
  if (is_running(entry)) set_flag(L, "running", true);
}

static bool has_prefix(const struct look *look, const struct journal_entry *entry)
{
  return !look->prefix || strncmp(entry->key, look->prefix, strlen(look->prefix)) == 0;
}

static int push_list(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  const struct look *look = (const struct look *)context;
  const struct journal_list *list = &look->list;
  lua_Integer count = 0;
  wait_job_check(L, &look->wait);
  lua_createtable(L, (int)list->count, 0);
  json_mark_list(L);
  for (size_t i = 0; i < list->count; i++) {
    if (!is_ours(look, &list->entries[i]) || !has_prefix(look, &list->entries[i])) continue;
    push_entry(L, &list->entries[i]);
    lua_rawseti(L, -2, ++count);
  }
  if (list->count < (size_t)list->limit)
    lua_pushnil(L);
  else if (list->prefix)
    lua_pushstring(L, list->entries[list->count - 1].key);
  else
    lua_pushinteger(L, list->entries[list->count - 1].id);
  if (!list->counts || !list->account) return 2;
  lua_pushinteger(L, list->total);
  return 3;
}

/* The indexes begin with the account. While it is unknown all entries are read: those with the
 * prefix are picked here, those of orders or stems by the caller. */
static int list_entries(lua_State *L, struct look *look)
{
  look->list.account = look->account.account;
  look->prefix = look->list.prefix;
  if (!look->list.account) look->list.prefix = look->list.orders = look->list.stems = NULL;
  wait_job_begin(&look->wait, &look->list.job);
  journal_list(look->engine->parts.store, &look->list);
  return wait_job_for(L, &look->wait, push_list, look);
}

static enum journal_state state_at(lua_State *L, int index)
{
  const char *name = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
  enum journal_state state = journal_state_from_name(name);
  if (state == JOURNAL_STATES)
    error_usage(L, "the journal has no state %s", luaL_tolstring(L, index, NULL));
  return state;
}

/* Bits of the names in the list at an index. */
static unsigned states_at(lua_State *L, int index)
{
  unsigned states = 0;
  luaL_checktype(L, index, LUA_TTABLE);
  for (lua_Integer i = 1; lua_rawgeti(L, index, i) != LUA_TNIL; i++) {
    states |= 1u << state_at(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return states;
}

static int64_t integer_field(lua_State *L, int index, const char *name, int64_t absent)
{
  lua_getfield(L, index, name);
  int64_t value = luaL_optinteger(L, -1, absent);
  lua_pop(L, 1);
  return value;
}

static bool flag_field(lua_State *L, int index, const char *name)
{
  lua_getfield(L, index, name);
  bool flag = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

/* Leaves the text on the stack, where it is borrowed from. */
static const char *text_field(lua_State *L, int index, const char *name)
{
  lua_getfield(L, index, name);
  return luaL_optstring(L, -1, NULL);
}

/* list{states=, after=, limit=, newest=, hide_pruned=, counts=, prefix=, after_key=, orders=,
 * stems=}: entries, and where the next page begins: an id, or a key if there is a prefix; nil on
 * the last page. With `counts` also the number of entries, nil if unknown. */
static int list(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  int64_t limit = integer_field(L, 1, "limit", USUAL_LIMIT);
  if (limit < 1 || limit > MAX_LIMIT)
    return error_usage(L, "journal: limit is a number from 1 to %d", MAX_LIMIT);
  struct journal_list query = {.limit = (int)limit,
                               .after = integer_field(L, 1, "after", 0),
                               .newest = flag_field(L, 1, "newest"),
                               .hide_pruned = flag_field(L, 1, "hide_pruned"),
                               .counts = flag_field(L, 1, "counts")};
  query.prefix = text_field(L, 1, "prefix");
  query.after_key = text_field(L, 1, "after_key");
  query.orders = text_field(L, 1, "orders");
  query.stems = text_field(L, 1, "stems");
  if (query.prefix && !*query.prefix) return error_usage(L, "journal: prefix is an empty text");
  query.states =
      lua_getfield(L, 1, "states") == LUA_TNIL ? JOURNAL_ALL : states_at(L, lua_gettop(L));
  lua_pop(L, 1);
  struct look *look = push_look(L, list_entries);
  look->list = query;
  return find_account(L, look);
}

/* Takes the entry out of the list. False when there was one before. */
static bool take(struct look *look, struct journal_entry *entry)
{
  if (look->find.found) return false;
  look->find.entry = *entry;
  look->find.found = true;
  *entry = (struct journal_entry){0};
  return true;
}

static int push_found(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  const struct look *look = (const struct look *)context;
  wait_job_check(L, &look->wait);
  if (look->find.found && is_ours(look, &look->find.entry))
    push_entry(L, &look->find.entry);
  else
    lua_pushnil(L);
  return 1;
}

static int scan(lua_State *L, struct look *look);

static int after_scan(lua_State *L, int status, lua_KContext context)
{
  struct look *look = (struct look *)context;
  struct journal_list *list = &look->list;
  bool more = list->count == MAX_LIMIT;
  wait_job_check(L, &look->wait);
  for (size_t i = 0; i < list->count; i++) {
    struct journal_entry *entry = &list->entries[i];
    list->after = entry->id;
    if (is_ours(look, entry) && strcmp(entry->key, look->find.key) == 0 && !take(look, entry))
      return error_usage(L,
                         "several accounts have an entry of the key %s, and which is yours is not "
                         "known; give the entry's id",
                         look->find.key);
  }
  journal_list_free(list);
  return more ? scan(L, look) : push_found(L, status, context);
}

/* The keys of several accounts may be the same: without knowing whose, all of this base URL are
 * looked at. */
static int scan(lua_State *L, struct look *look)
{
  look->list.states = JOURNAL_ALL;
  look->list.limit = MAX_LIMIT;
  wait_job_begin(&look->wait, &look->list.job);
  journal_list(look->engine->parts.store, &look->list);
  return wait_job_for(L, &look->wait, after_scan, look);
}

static int find_entry(lua_State *L, struct look *look)
{
  look->find.account = look->account.account;
  if (look->find.key && !look->find.account) return scan(L, look);
  wait_job_begin(&look->wait, &look->find.job);
  journal_find(look->engine->parts.store, &look->find);
  return wait_job_for(L, &look->wait, push_found, look);
}

static int get(lua_State *L)
{
  bool by_id = lua_isinteger(L, 1);
  if (!by_id && lua_type(L, 1) != LUA_TSTRING)
    return error_usage(L,
                       "an entry of the journal is named by its key, a text, or by its id, an "
                       "integer; got a %s",
                       luaL_typename(L, 1));
  struct look *look = push_look(L, find_entry);
  if (by_id)
    look->find.id = lua_tointeger(L, 1);
  else
    look->find.key = lua_tostring(L, 1);
  return find_account(L, look);
}

static int push_settled(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  const struct look *look = (const struct look *)context;
  wait_job_check(L, &look->wait);
  lua_pushboolean(L, look->settle.changed);
  return 1;
}

static money price_field(lua_State *L, int index)
{
  money price = JOURNAL_NO_PRICE;
  if (lua_getfield(L, index, "price") != LUA_TNIL) {
    price = money_to(L, lua_gettop(L));
    if (price < 0) error_usage(L, "price cannot be negative");
  }
  lua_pop(L, 1);
  return price;
}

static int settle(lua_State *L)
{
  lua_Integer id = luaL_checkinteger(L, 1);
  enum journal_state state = state_at(L, 2);
  if (state != JOURNAL_PLACED && state != JOURNAL_NOT_PLACED)
    return error_usage(L, "an entry is settled as placed or as not_placed");
  lua_settop(L, 3);
  if (lua_isnil(L, 3)) {
    lua_newtable(L);
    lua_replace(L, 3);
  }
  luaL_checktype(L, 3, LUA_TTABLE);
  struct journal_settle job = {.id = id,
                               .state = state,
                               .ends_in = JOURNAL_KEEP_END,
                               .price = price_field(L, 3)};
  job.order_id = text_field(L, 3, "order_id");
  job.answer = text_field(L, 3, "answer");
  job.note = text_field(L, 3, "note");
  struct look *look = push_look(L, NULL);
  look->settle = job;
  wait_job_begin(&look->wait, &look->settle.job);
  journal_settle(look->engine->parts.store, &look->settle);
  return wait_job_for(L, &look->wait, push_settled, look);
}

static int push_pruned(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  const struct look *look = (const struct look *)context;
  wait_job_check(L, &look->wait);
  lua_pushinteger(L, (lua_Integer)look->prune.pruned);
  lua_pushinteger(L, (lua_Integer)look->prune.removed);
  return 2;
}

static int prune_entries(lua_State *L, struct look *look)
{
  look->prune.account = look->account.account;
  if (!look->prune.account) return push_pruned(L, LUA_OK, (lua_KContext)look);
  wait_job_begin(&look->wait, &look->prune.job);
  journal_prune(look->engine->parts.store, &look->prune);
  return wait_job_for(L, &look->wait, push_pruned, look);
}

/* prune(before): of this account, whose settled entries were last changed before so many seconds
 * since 1970; how many were made smaller, and how many removed. */
static int prune(lua_State *L)
{
  double before = luaL_checknumber(L, 1);
  if (!(before >= 0 && before < 1e12)) return error_usage(L, "journal: not a time");
  struct look *look = push_look(L, prune_entries);
  look->prune.before = (int64_t)(before * 1e6);
  return find_account(L, look);
}

static int end_retire(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  wait_job_check(L, &((const struct look *)context)->wait);
  return 0;
}

static int retire_orders(lua_State *L, struct look *look)
{
  look->retire.account = look->account.account;
  if (!look->retire.account) return 0;
  wait_job_begin(&look->wait, &look->retire.job);
  journal_retire(look->engine->parts.store, &look->retire);
  return wait_job_for(L, &look->wait, end_retire, look);
}

/* retire(orders): a JSON array of the ids of orders that have ended. */
static int retire(lua_State *L)
{
  const char *orders = luaL_checkstring(L, 1);
  struct look *look = push_look(L, retire_orders);
  look->retire.orders = orders;
  return find_account(L, look);
}

struct inquiry {
  struct wait wait;
  struct purchase_charge *charge;
};

static void on_inquired(void *arg, struct purchase_charge *charge)
{
  struct inquiry *inquiry = arg;
  inquiry->charge = charge;
  wait_done(&inquiry->wait);
}

static void stop_inquiry(struct wait *wait)
{
  struct inquiry *inquiry = (struct inquiry *)wait;
  purchase_abandon(inquiry->charge);
  inquiry->charge = NULL;
}

static int end_inquiry(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  struct inquiry *inquiry = (struct inquiry *)context;
  if (inquiry->wait.cancelled) return wait_raise(L, false);
  struct error err = inquiry->charge->error;
  purchase_release(inquiry->charge);
  return err.kind == ERROR_NONE ? 0 : error_raise(L, &err);
}

/* inquire(key): determines the outcome of an open entry, as far as it is known now. */
static int inquire(lua_State *L)
{
  struct purchase_request request = {.inquiry = true,
                                     .key = luaL_checkstring(L, 1),
                                     .max_wait = -1};
  struct engine *engine = engine_use(L);
  struct inquiry *inquiry = lua_newuserdatauv(L, sizeof *inquiry, 0);
  *inquiry = (struct inquiry){.wait = {.cancel = stop_inquiry}};
  struct purchase_charge *charge =
      purchase_begin(engine->parts.purchase, &request, on_inquired, inquiry);
  if (!charge) return luaL_error(L, "not enough memory");
  inquiry->charge = charge;
  return wait_for(L, &inquiry->wait, end_inquiry, (lua_KContext)inquiry);
}

static int random_key(lua_State *L)
{
  char key[PURCHASE_RANDOM_KEY];
  if (!purchase_random_key(key)) return luaL_error(L, "the system has no random bytes to give");
  lua_pushstring(L, key);
  return 1;
}

void journal_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"list", list},       {"get", get},
                                       {"settle", settle},   {"prune", prune},
                                       {"inquire", inquire}, {"random_key", random_key},
                                       {"retire", retire},   {NULL, NULL}};
  luaL_newlib(L, functions);
}
