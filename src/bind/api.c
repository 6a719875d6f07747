#include "bind/api.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bind/args.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bind/json.h"
#include "bind/money.h"
#include "bind/params.h"
#include "bind/push.h"
#include "bind/record/record.h"
#include "bind/runtime.h"
#include "bind/sched/sched.h"
#include "bind/sched/wait.h"
#include "net/url.h"

/* A call under way; lies on the waiting thread's stack, above what its request borrows. One of the
 * two is set. */
struct visit {
  struct wait wait;
  const struct endpoint *endpoint; /* NULL for a path that the table does not know */
  const char *save_as;
  int64_t page, limit; /* asked for */
  struct client_call *call;
  struct purchase_charge *charge;
  const char *method, *path, *body; /* of a charge; body NULL: none */
  bool of_budget;                   /* a plugin's own charge */
  bool may_have_paid;               /* cancelled when the request had left, or was about to */
};

static void stop(struct wait *wait)
{
  struct visit *visit = (struct visit *)wait;
  if (visit->call) client_cancel(visit->call);
  if (visit->charge) visit->may_have_paid = purchase_abandon(visit->charge);
  visit->call = NULL;
  visit->charge = NULL;
}

static void on_call_done(void *arg, struct client_call *call)
{
  struct visit *visit = arg;
  visit->call = call;
  wait_done(&visit->wait);
}

static void on_charge_done(void *arg, struct purchase_charge *charge)
{
  struct visit *visit = arg;
  visit->charge = charge;
  wait_done(&visit->wait);
}

static const char watcher_key; /* its address names the watcher in the registry */

struct charge_notice {
  const struct visit *visit;
  const struct error *err; /* NULL: it was placed */
  const char *order_id;
};

/* A charge that was placed after its caller stopped waiting. The text holds method, path, body,
 * order id and response, each ended by a NUL. */
struct late_charge {
  struct delivery delivery;
  struct runtime *runtime;
  const struct endpoint *endpoint;
  bool has_quote;
  money quote;
  const char *method, *path, *body, *order_id, *response;
  size_t response_size;
  char text[];
};

/* Stack: charge_notice, result, quote -> . */
static int call_watcher(lua_State *L)
{
  const struct charge_notice *news = lua_touserdata(L, 1);
  const struct visit *visit = news->visit;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &watcher_key) != LUA_TFUNCTION) return 0;
  lua_createtable(L, 0, 8);
  if (visit->endpoint) set_given(L, "endpoint", visit->endpoint->name);
  lua_pushfstring(L, "%s %s", visit->method, visit->path);
  lua_setfield(L, -2, "request");
  set_given(L, "body", visit->body);
  set_given(L, "order", news->order_id);
  set_given(L, "kind", news->err ? error_kind_name(news->err->kind) : NULL);
  set_given(L, "message", news->err ? news->err->message : NULL);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "result");
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "quote");
  lua_call(L, 1, 0);
  return 0;
}

/* Reports a charge that has ended to the watcher. Nothing that happens there changes what the
 * caller gets. `result` and `quote`: their indices on the stack, 0: none. */
static void notify_watcher(lua_State *L, const struct charge_notice *news, int result, int quote)
{
  const struct engine *engine = runtime_of(L)->engine;
  if (news->visit->of_budget || engine->dry_run || !lua_checkstack(L, 4)) return;
  lua_pushcfunction(L, call_watcher);
  lua_pushlightuserdata(L, (void *)news);
  for (int i = 0; i < 2; i++) {
    int index = i == 0 ? result : quote;
    if (index)
      lua_pushvalue(L, index);
    else
      lua_pushnil(L);
  }
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static int notify_late(lua_State *L)
{
  const struct late_charge *late = lua_touserdata(L, 1);
  const struct visit visit = {.endpoint = late->endpoint,
                              .method = late->method,
                              .path = late->path,
                              .body = late->body};
  const struct charge_notice news = {.visit = &visit, .order_id = late->order_id};
  struct json_document *response = record_push_document(L);
  json_parse(response, late->response, late->response_size);
  record_response(L, response, late->endpoint, 0, 0);
  int result = lua_gettop(L);
  if (late->has_quote) money_push(L, late->quote);
  notify_watcher(L, &news, result, late->has_quote ? result + 1 : 0);
  return 0;
}

static void deliver_late(void *arg)
{
  struct late_charge *late = arg;
  lua_State *L = late->runtime->sched.L;
  lua_pushcfunction(L, notify_late);
  lua_pushlightuserdata(L, late);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  free(late);
}

/* Appends bytes and a NUL at `*end`, which moves on. */
static const char *keep(char **end, const char *bytes, size_t size)
{
  char *kept = *end;
  if (size > 0) memcpy(kept, bytes, size);
  kept[size] = '\0';
  *end += size + 1;
  return kept;
}

static void on_late_charge(void *arg, const struct purchase_charge *charge,
                           const struct endpoint *endpoint, const char *params)
{
  struct runtime *runtime = arg;
  size_t method = strcspn(params, " "), path = strcspn(params + method + 1, " ?");
  const char *body = strchr(params + method + 1, ' ');
  size_t id = strlen(charge->order_id), size = charge->answer.size;
  struct late_charge *late = calloc(1, sizeof *late + strlen(params) + id + size + 5);
  if (!late) return;
  char *end = late->text;
  *late = (struct late_charge){.delivery = {.run = deliver_late, .arg = late},
                               .runtime = runtime,
                               .endpoint = endpoint,
                               .has_quote = charge->has_quote,
                               .quote = charge->quote,
                               .response_size = size};
  late->method = keep(&end, params, method);
  late->path = keep(&end, params + method + 1, path);
  late->body = body ? keep(&end, body + 1, strlen(body + 1)) : NULL;
  late->order_id = keep(&end, charge->order_id, id);
  late->response = keep(&end, charge->answer.data, size);
  deliver_soon(&runtime->sched, &late->delivery);
}

/* Pushes bytes as a string; NULL: an empty one. */
static void push_bytes(lua_State *L, const struct buffer *bytes)
{
  lua_pushlstring(L, bytes && bytes->data ? bytes->data : "", bytes ? bytes->size : 0);
}

/* Pushes the records of a response, which is freed. */
static int push_response(lua_State *L, const struct visit *visit, struct json_document *response)
{
  record_response(L, response, visit->endpoint, visit->page, visit->limit);
  json_free(response);
  return 1;
}

/* Raises the error, completed by the server's words in the response, whose text is on top of the
 * stack. `news`: of a charge, else NULL. */
static int fail(lua_State *L, struct error *err, const struct json_document *response,
                const struct charge_notice *news)
{
  size_t size;
  const char *body = lua_tolstring(L, -1, &size);
  bool explained = size > 0 && err->status >= 400 && err->kind != ERROR_OUTCOME_UNKNOWN;
  if (explained) record_error(L, response, body, size, err);
  if (news) notify_watcher(L, news, 0, 0);
  return explained ? error_raise_with(L, err, lua_gettop(L)) : error_raise(L, err);
}

/* The server's Date has whole seconds: half of one is missing on average. */
static void note_clock(struct engine *engine, struct http_transfer *x)
{
  double date = x ? http_date(x) : 0;
  struct timespec now;
  if (date == 0 || clock_gettime(CLOCK_REALTIME, &now) != 0) return;
  engine->has_clock = true;
  engine->ahead = date + 0.5 - (double)now.tv_sec - (double)now.tv_nsec / 1e9;
}

/* Stack: visit … -> the call's result. The call is released as soon as its response is in Lua. */
static int finish_call(lua_State *L, struct visit *visit)
{
  struct client_call *call = visit->call;
  struct http_transfer *x = call->exchange;
  struct error err = call->error;
  bool text = visit->endpoint && visit->endpoint->text;
  struct json_document *response = record_push_document(L);
  note_clock(engine_use(L), x);
  if (text || err.kind != ERROR_NONE) push_bytes(L, x ? &x->body : NULL);
  visit->call = NULL;
  if (x) {
    *response = x->json;
    x->json = (struct json_document){0};
  }
  client_release(call);
  if (err.kind != ERROR_NONE) return fail(L, &err, response, NULL);
  if (!text) return push_response(L, visit, response);
  if (visit->save_as) lua_pushstring(L, visit->save_as);
  return 1;
}

static void push_money(lua_State *L, const char *field, money amount)
{
  money_push(L, amount);
  lua_setfield(L, -2, field);
}

/* on_charge(fn): fn(charge) is called whenever a charge has ended, except for dry runs, plugins'
 * own charges, and what the journal returned for a key that was used before. `charge` is a table:
 * endpoint (nil: by path), request ("POST /orders"), body (JSON), order (its id), and either result
 * and quote or kind and message of the error. It must not wait; what it raises is ignored. */
static int on_charge(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &watcher_key);
  return 0;
}

static int finish_charge(lua_State *L, struct visit *visit)
{
  struct purchase_charge *charge = visit->charge;
  struct error err = charge->error;
  char order_id[sizeof charge->order_id];
  struct charge_notice news = {.visit = visit, .order_id = strcpy(order_id, charge->order_id)};
  struct json_document *response = record_push_document(L);
  *response = charge->response;
  charge->response = (struct json_document){0};
  push_bytes(L, err.kind != ERROR_NONE ? &charge->answer : NULL);
  visit->charge = NULL;
  bool dry_run = charge->dry_run, has_quote = charge->has_quote, repeated = charge->repeated;
  money quote = charge->quote;
  purchase_release(charge);
  if (err.kind != ERROR_NONE) {
    news.err = &err;
    return fail(L, &err, response, &news);
  }
  if (dry_run) {
    lua_newtable(L);
    set_flag(L, "dry_run", 1);
    push_money(L, "price", quote);
  } else {
    push_response(L, visit, response);
  }
  int result = lua_gettop(L);
  if (has_quote) money_push(L, quote);
  if (!dry_run && !repeated) notify_watcher(L, &news, result, has_quote ? result + 1 : 0);
  return has_quote ? 2 : 1;
}

static int finish(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  struct visit *visit = (struct visit *)context;
  if (!visit->wait.cancelled)
    return visit->charge ? finish_charge(L, visit) : finish_call(L, visit);
  if (!visit->may_have_paid) return wait_raise(L, false);
  struct error err = ERROR_INIT;
  error_set(&err, ERROR_CANCELLED,
            "cancelled while a charge was under way; its outcome is reported when it is known, and "
            "is in the journal");
  err.charge = CHARGE_UNKNOWN;
  err.endpoint = visit->endpoint ? visit->endpoint->name : NULL;
  return error_raise(L, &err);
}

static void begin_call(lua_State *L, struct visit *visit, const struct client_request *request)
{
  struct client_call *call = client_send(engine_use(L)->parts.client, request, on_call_done, visit);
  if (!call) luaL_error(L, "not enough memory");
  visit->call = call;
}

static void begin_charge(lua_State *L, struct visit *visit, const struct client_request *request,
                         const struct params *params)
{
  struct purchase_request purchase = {.endpoint = request->endpoint,
                                      .method = request->method,
                                      .path = request->path,
                                      .query = request->query,
                                      .body = request->body,
                                      .body_size = request->body_size,
                                      .key = params->key,
                                      .has_max_price = params->has_max_price,
                                      .max_price = params->max_price,
                                      .budget = params->budget,
                                      .timeout = request->timeout,
                                      .max_wait = request->max_wait};
  struct error ended = ERROR_INIT;
  error_set(&ended, ERROR_CANCELLED, "the script has ended, and its finalizers buy nothing");
  if (!sched_of(L)->current && !sched_of(L)->plain_coroutines) error_raise(L, &ended);
  struct purchase_charge *charge =
      purchase_begin(engine_use(L)->parts.purchase, &purchase, on_charge_done, visit);
  if (!charge) luaL_error(L, "not enough memory");
  visit->charge = charge;
}

/* Stack: what the request borrows. */
int api_visit(lua_State *L, const struct client_request *request, const struct params *params)
{
  struct visit *visit = lua_newuserdatauv(L, sizeof *visit, 0);
  *visit = (struct visit){.wait = {.cancel = stop},
                          .endpoint = request->endpoint,
                          .save_as = request->save_as,
                          .method = request->method,
                          .path = request->path,
                          .body = request->body,
                          .of_budget = params->budget.prefix > 0,
                          .page = params->page,
                          .limit = params->limit};
  if (request->kind == ENDPOINT_CHARGE)
    begin_charge(L, visit, request, params);
  else
    begin_call(L, visit, request);
  return wait_for(L, &visit->wait, finish, (lua_KContext)visit);
}

void api_fill(struct client_request *request, const struct endpoint *endpoint)
{
  request->endpoint = endpoint;
  request->kind = endpoint->kind;
  request->order_scope = endpoint->order_scope;
  request->method = endpoint->method;
}

int api_call(lua_State *L, const struct endpoint *endpoint, int index, int budget)
{
  struct client_request request = {.max_wait = -1};
  struct params params = {0};
  api_fill(&request, endpoint);
  params_read(L, index, endpoint, &request, &params);
  if (budget) params_read_budget(L, budget, &params);
  engine_use(L);
  return api_visit(L, &request, &params);
}

/* call(name, parameters [, budget]) -> the response of an endpoint as canonical records; for a
 * charge also its quote. The budget, {prefix=, per_run=, per_day=}, is an additional limit for all
 * charges whose keys begin with the prefix. The key of this charge must begin with it. */
static int call(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  const struct endpoint *endpoint = endpoint_find(name);
  if (!endpoint) {
    const char *near = endpoint_name_nearest(name);
    return error_usage(L, "there is no endpoint %s%s%s", name, near ? "; did you mean " : "",
                       near ? near : "");
  }
  lua_settop(L, 3);
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  return api_call(L, endpoint, 2, 3);
}

/* configure(settings): once, before scripts run. */
static int configure(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  engine_configure(L, 1);
  return 0;
}

/* check(setting, text): raises what is wrong with the text of base_url or limits. */
static int check(lua_State *L)
{
  static const char *const settings[] = {"base_url", "limits", NULL};
  struct error err = ERROR_INIT;
  struct limiter_rules rules;
  bool is_url = luaL_checkoption(L, 1, NULL, settings) == 0;
  const char *text = luaL_checkstring(L, 2);
  char *spelled = is_url ? url_check_base(text, &err) : NULL;
  bool good = is_url ? spelled != NULL : limiter_rules_parse(text, &rules, &err);
  free(spelled);
  return good ? 0 : error_raise(L, &err);
}

/* clock(): seconds since 1970 by the API's clock, twice; where the local clock differs by more than
 * a day the later and the earlier of both. Nil before the first response with a Date. */
static int server_clock(lua_State *L)
{
  const struct client *client = engine_use(L)->parts.client;
  struct error err = ERROR_INIT;
  int64_t local, server;
  if (!client_clock_skew(client, &local, &server)) return 0;
  double time = client_clock(client), other = time;
  if (!client_clocks_agree(client, &err)) other = (double)local;
  lua_pushnumber(L, time > other ? time : other);
  lua_pushnumber(L, time > other ? other : time);
  return 2;
}

static const char *text_option(lua_State *L, int index, const char *name, bool required)
{
  int type = lua_getfield(L, index, name);
  if (type == LUA_TSTRING) return lua_tostring(L, -1);
  if (type != LUA_TNIL || required)
    error_usage(L, "px.request: %s is a text, not a %s", name, lua_typename(L, type));
  return NULL;
}

/* Pushes the path; returns its query, which the text keeps. */
static const char *push_path(lua_State *L)
{
  size_t size, path_size;
  struct error err = ERROR_INIT;
  text_option(L, 1, "path", true);
  const char *text = lua_tolstring(L, -1, &size);
  if (!endpoint_check_path(text, size, &path_size, &err)) error_raise(L, &err);
  lua_pushlstring(L, text, path_size);
  return path_size < size ? text + path_size + 1 : NULL;
}

static void read_query(lua_State *L, const char *in_path, struct client_request *request)
{
  request->query = in_path;
  if (lua_getfield(L, 1, "query") == LUA_TNIL) return;
  query_push(L, lua_gettop(L));
  if (in_path) {
    lua_pushfstring(L, "%s&%s", in_path, lua_tostring(L, -1));
    lua_replace(L, -2);
  }
  request->query = lua_tostring(L, -1);
}

static bool only_reads(const char *method)
{
  return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* The row of a request. A lenient server may read another spelling of a path as one that charges:
 * what changes something and does not charge is known by its path byte for byte alone. */
static const struct endpoint *find_row(const struct client_request *request)
{
  const struct endpoint *row = endpoint_match(request->method, request->path);
  bool exact = row && strcmp(row->path, request->path) == 0;
  return row && (exact || row->kind == ENDPOINT_CHARGE || only_reads(request->method)) ? row : NULL;
}

/* A request without a row: one that may change something goes the way of a charge. */
static void judge_unknown(lua_State *L, struct client_request *request, const struct params *params)
{
  request->kind = only_reads(request->method) ? ENDPOINT_SAFE : ENDPOINT_CHARGE;
  if (request->kind == ENDPOINT_SAFE || (params->has_max_price && params->max_price > 0)) return;
  error_usage(L,
              "px.request: %s %s is not a known endpoint, so it may charge: set max_price, above "
              "0, to the most that it may cost",
              request->method, request->path);
}

/* --- a path that charges: the same checks as by name, and a body built from what was checked ---
 */

static void copy_fields(lua_State *L, int from, int to)
{
  for (lua_pushnil(L); lua_next(L, from);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, to);
  }
}

/* Adds the values of the ":name"s that the path holds. */
static void add_path_values(lua_State *L, const char *path, const struct endpoint *endpoint, int to)
{
  for (const char *row = endpoint->path; *row; row++, path++) {
    size_t size = strcspn(row + 1, "/"), given = strcspn(path + 1, "/");
    if (row[1] == ':') {
      lua_pushlstring(L, row + 2, size - 1);
      lua_pushlstring(L, path + 1, given);
      lua_rawset(L, to);
    }
    row += size;
    path += given;
  }
}

static int send_charge(lua_State *L, const char *path, const char *query,
                       const struct endpoint *endpoint)
{
  static const char *const options[] = {"key", "max_price", "timeout", "max_wait"};
  if (query || lua_getfield(L, 1, "query") != LUA_TNIL)
    return error_usage(L, "px.request: %s takes no query; its parameters go into json",
                       endpoint->name);
  lua_newtable(L);
  int to = lua_gettop(L);
  int type = lua_getfield(L, 1, "json");
  if (type != LUA_TTABLE && type != LUA_TNIL)
    return error_usage(L, "px.request: json is a table for %s", endpoint->name);
  if (type == LUA_TTABLE) copy_fields(L, to + 1, to);
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
    lua_getfield(L, 1, options[i]);
    lua_setfield(L, to, options[i]);
  }
  add_path_values(L, path, endpoint, to);
  return api_call(L, endpoint, to, 0);
}

/* request{method=, path=, query=, json=, …}: sends any request through the API client, under the
 * same rules as the endpoints. */
static int send_request(lua_State *L)
{
  if (!lua_istable(L, 1))
    return error_usage(L, "px.request takes a table, not a %s", luaL_typename(L, 1));
  lua_settop(L, 1);
  luaL_checkstack(L, 20, NULL);
  static const char *const known[] = {"method",    "path",    "query",    "json", "key",
                                      "max_price", "timeout", "max_wait", NULL};
  options_check(L, 1, "px.request", known);
  struct client_request request = {.max_wait = -1};
  struct params params = {0};
  if (!text_option(L, 1, "method", false)) lua_pushliteral(L, "GET");
  size_t size;
  request.method = lua_tolstring(L, -1, &size);
  if (size == 0 || strspn(request.method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != size)
    return error_usage(L, "px.request: method must be a word in capitals such as GET");
  const char *query = push_path(L);
  request.path = lua_tostring(L, -1);
  const struct endpoint *endpoint = find_row(&request);
  if (endpoint && endpoint->kind == ENDPOINT_CHARGE)
    return send_charge(L, request.path, query, endpoint);
  read_query(L, query, &request);
  if (lua_getfield(L, 1, "json") != LUA_TNIL) {
    json_encode(L, lua_gettop(L));
    request.body = lua_tolstring(L, -1, &request.body_size);
  }
  params_read_options(L, 1, "px.request", &request, &params);
  if (endpoint) {
    const char *as_given = request.method;
    api_fill(&request, endpoint);
    request.method = as_given;
  } else {
    judge_unknown(L, &request, &params);
  }
  engine_use(L);
  return api_visit(L, &request, &params);
}

void api_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"call", call},
                                       {"request", send_request},
                                       {"configure", configure},
                                       {"limits", engine_limits},
                                       {"on_charge", on_charge},
                                       {"clock", server_clock},
                                       {"check", check},
                                       {"confirm", engine_confirm},
                                       {NULL, NULL}};
  runtime_of(L)->placed_late = on_late_charge;
  luaL_newlib(L, functions);
}
