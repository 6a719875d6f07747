/* px.http: plain HTTP to anywhere, never with the key. A function a method: (url, options) ->
 * response. A response is a table of status, body, head (raw header lines), time and connect_time
 * (seconds). Its headers (a table, names in lower case), ok (a 2xx status) and json() are made when
 * they are asked for. */
#include <lauxlib.h>
#include <string.h>

#include "bind/args.h"
#include "bind/box.h"
#include "bind/error.h"
#include "bind/json.h"
#include "bind/modules.h"
#include "bind/push.h"
#include "bind/runtime.h"
#include "bind/sched/wait.h"
#include "net/curl_library.h"
#include "net/http.h"

#define RESPONSE "proxylua.response"

static void push_lowered(lua_State *L, const char *name, size_t size)
{
  luaL_Buffer lowered;
  char *to = luaL_buffinitsize(L, &lowered, size);
  for (size_t i = 0; i < size; i++)
    to[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : name[i];
  luaL_pushresultsize(&lowered, size);
}

/* Stack: the table of lists -> the same. Adds the line's value to the list of its name. */
static void add_line(lua_State *L, const char *line, size_t size)
{
  const char *colon = memchr(line, ':', size), *end = line + size;
  if (!colon) return;
  const char *value = colon + 1;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
  push_lowered(L, line, (size_t)(colon - line));
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -5);
  }
  lua_pushlstring(L, value, (size_t)(end - value));
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 2);
}

/* Stack: a list of texts -> the texts, joined by ", ". */
static void join(lua_State *L)
{
  luaL_Buffer joined;
  int list = lua_gettop(L);
  luaL_buffinit(L, &joined);
  for (lua_Integer i = 1, last = (lua_Integer)lua_rawlen(L, list); i <= last; i++) {
    if (i > 1) luaL_addstring(&joined, ", ");
    lua_rawgeti(L, list, i);
    luaL_addvalue(&joined);
  }
  luaL_pushresult(&joined);
  lua_replace(L, list);
}

/* The table of header lines, names in lower case, repeated ones joined by ", ". */
static void push_headers(lua_State *L, const char *head)
{
  lua_newtable(L);
  for (const char *line = head; *line; line += strspn(line, "\r\n")) {
    size_t size = strcspn(line, "\r\n");
    add_line(L, line, size);
    line += size;
  }
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    join(L);
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
}

static int response_json(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "body");
  luaL_checkstring(L, -1);
  json_decode(L);
  return 1;
}

static int response_index(lua_State *L)
{
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "headers") == 0) {
    lua_getfield(L, 1, "head");
    push_headers(L, luaL_optstring(L, -1, ""));
    lua_pushvalue(L, -1);
    lua_setfield(L, 1, "headers");
  } else if (strcmp(name, "json") == 0) {
    lua_pushcfunction(L, response_json);
  } else if (strcmp(name, "ok") == 0) {
    lua_getfield(L, 1, "status");
    lua_pushboolean(L, lua_tointeger(L, -1) / 100 == 2);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static void push_response(lua_State *L, const struct http_transfer *x)
{
  lua_createtable(L, 0, 6);
  set_integer(L, "status", x->status);
  set_bytes(L, "body", x->body.data ? x->body.data : "", x->body.size);
  set_bytes(L, "head", x->head.data ? x->head.data : "", x->head.size);
  set_number(L, "time", (double)http_time(x, CURLINFO_TOTAL_TIME_T) / 1e6);
  set_number(L, "connect_time", (double)http_time(x, CURLINFO_CONNECT_TIME_T) / 1e6);
  if (luaL_newmetatable(L, RESPONSE)) {
    lua_pushcfunction(L, response_index);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
}

#define DEFAULT_REDIRECTS 10
#define FETCH "proxylua.fetch"

/* Lies on the waiting thread's stack, above the strings that its request borrows. */
struct fetch {
  struct wait wait;
  struct http_transfer *transfer;
  struct curl_slist *headers;
  const char *method, *url;
};

static int on_fetch_gc(lua_State *L)
{
  struct fetch *fetch = luaL_checkudata(L, 1, FETCH);
  curl_slist_free_all(fetch->headers);
  fetch->headers = NULL;
  return 0;
}

/* Texts that libcurl reads up to their first NUL must not have one. */
static const char *check_plain(lua_State *L, int index, const char *name)
{
  size_t size;
  const char *text = lua_tolstring(L, index, &size);
  if (strlen(text) != size) error_usage(L, "px.http: %s cannot hold a NUL", name);
  return text;
}

/* A token of RFC 9110. With a blank, for example, a server would see another name than the one that
 * was checked here. */
static bool is_token(const char *name)
{
  static const char token[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
  return *name && name[strspn(name, token)] == '\0';
}

static void add_header(lua_State *L, struct fetch *fetch, const char *name, const char *value)
{
  if (!is_token(name)) error_usage(L, "px.http: %s is no name of a header", name);
  if (strpbrk(value, "\r\n")) error_usage(L, "px.http: a header cannot hold a line end: %s", name);
  lua_pushfstring(L, *value ? "%s: %s" : "%s;", name, value);
  struct curl_slist *longer = curl_slist_append(fetch->headers, lua_tostring(L, -1));
  lua_pop(L, 1);
  if (!longer) luaL_error(L, "not enough memory");
  fetch->headers = longer;
}

static void read_headers(lua_State *L, int options, struct fetch *fetch)
{
  if (lua_getfield(L, options, "headers") != LUA_TNIL) {
    if (!lua_istable(L, -1)) error_usage(L, "px.http: headers is a table of names and values");
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
      if (lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1))
        error_usage(L, "px.http: headers is a table of names and values");
      lua_pushvalue(L, -1);
      add_header(L, fetch, check_plain(L, -3, "a header"), check_plain(L, -1, "a header"));
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

/* Leaves the text on the stack, where the request may borrow it; nil and NULL when the option is
 * absent. */
static const char *keep_text(lua_State *L, int options, const char *name, size_t *size)
{
  int type = lua_getfield(L, options, name);
  if (type == LUA_TNIL) return NULL;
  if (type != LUA_TSTRING)
    error_usage(L, "px.http: %s is a string, not a %s", name, lua_typename(L, type));
  return size ? lua_tolstring(L, -1, size) : check_plain(L, -1, name);
}

/* A proxy is its URL, or a record that has one. */
static const char *keep_proxy(lua_State *L, int options)
{
  if (lua_getfield(L, options, "proxy") == LUA_TTABLE) {
    lua_getfield(L, -1, "url");
    lua_replace(L, -2);
    if (!lua_isstring(L, -1)) error_usage(L, "px.http: the proxy has no url");
  }
  if (lua_isnil(L, -1)) return NULL;
  if (lua_type(L, -1) != LUA_TSTRING) error_usage(L, "px.http: proxy is a URL or a proxy record");
  return check_plain(L, -1, "proxy");
}

static double number_option(lua_State *L, int options, const char *name, double least, double most,
                            double absent)
{
  double value = absent;
  if (lua_getfield(L, options, name) != LUA_TNIL) {
    if (!lua_isnumber(L, -1))
      error_usage(L, "px.http: %s is a number, not a %s", name, luaL_typename(L, -1));
    value = lua_tonumber(L, -1);
    if (!(value >= least && value <= most))
      error_usage(L, "px.http: %s is %f to %f, got %f", name, least, most, value);
  }
  lua_pop(L, 1);
  return value;
}

static void keep_body(lua_State *L, int options, struct fetch *fetch, struct http_request *request)
{
  request->body = keep_text(L, options, "body", &request->body_size);
  if (lua_getfield(L, options, "json") == LUA_TNIL) return;
  if (request->body) error_usage(L, "px.http: give body or json, not both");
  json_encode(L, lua_gettop(L));
  request->body = lua_tolstring(L, -1, &request->body_size);
  add_header(L, fetch, "Content-Type", "application/json");
}

static int64_t timeout_option(lua_State *L, int options)
{
  double seconds = 30;
  if (lua_getfield(L, options, "timeout") != LUA_TNIL &&
      (!seconds_to(L, -1, &seconds) || !(seconds >= 0.001 && seconds <= 86400)))
    error_usage(L,
                "px.http: timeout must be seconds from 0.001 to 86400, or a text with a unit such "
                "as \"5s\"; got %s",
                luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return (int64_t)(seconds * 1000);
}

static void read_options(lua_State *L, int options, struct fetch *fetch,
                         struct http_request *request)
{
  if (!lua_istable(L, options))
    error_usage(L, "px.http takes a table of options, not a %s", luaL_typename(L, options));
  luaL_checkstack(L, 12, NULL);
  static const char *const known[] = {"headers", "query",     "body", "json",     "proxy",
                                      "timeout", "redirects", "path", "max_body", NULL};
  options_check(L, options, "px.http", known);
  keep_body(L, options, fetch, request);
  read_headers(L, options, fetch);
  request->path = keep_text(L, options, "path", NULL);
  request->proxy = keep_proxy(L, options);
  request->timeout_ms = timeout_option(L, options);
  request->redirects = (int)number_option(L, options, "redirects", 0, 50, DEFAULT_REDIRECTS);
  request->max_body = (size_t)number_option(L, options, "max_body", 1, 1e12, HTTP_MAX_BODY);
  if (lua_getfield(L, options, "query") != LUA_TNIL) {
    query_push(L, lua_gettop(L));
    lua_pushfstring(L, "%s%s%s", request->url, strchr(request->url, '?') ? "&" : "?",
                    lua_tostring(L, -1));
    request->url = lua_tostring(L, -1);
  }
  request->headers = fetch->headers;
}

static void stop(struct wait *wait)
{
  struct fetch *fetch = (struct fetch *)wait;
  http_cancel(fetch->transfer);
  http_release(fetch->transfer);
  fetch->transfer = NULL;
}

static void on_done(void *arg, struct http_transfer *transfer)
{
  (void)transfer;
  struct fetch *fetch = arg;
  wait_done(&fetch->wait);
}

static int fail(lua_State *L, struct fetch *fetch)
{
  struct error err = ERROR_INIT;
  http_explain(fetch->transfer, &err);
  err.status = (int)fetch->transfer->status;
  snprintf(err.code, sizeof err.code, "%s", http_fault(fetch->transfer));
  http_release(fetch->transfer);
  char why[sizeof err.message];
  memcpy(why, err.message, sizeof why);
  error_set(&err, err.kind, "%s %.300s: %s", fetch->method, fetch->url, why);
  return error_raise(L, &err);
}

static int finish(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  struct fetch *fetch = (struct fetch *)context;
  if (fetch->wait.cancelled) return wait_raise(L, false);
  struct http_transfer *x = fetch->transfer;
  if (x->code != CURLE_OK) return fail(L, fetch);
  push_response(L, x);
  http_release(x);
  return 1;
}

static int fetch(lua_State *L)
{
  if (lua_type(L, 1) != LUA_TSTRING)
    return error_usage(L, "px.http: the URL is a text, not a %s", luaL_typename(L, 1));
  const char *url = check_plain(L, 1, "the URL");
  struct http_request request = {.method = lua_tostring(L, lua_upvalueindex(1)),
                                 .url = url,
                                 .keep_head = true,
                                 .redirects = DEFAULT_REDIRECTS};
  const char *reach =
      luaL_optstring(L, 3, ""); /* "public", for a plugin; "loopback": this machine too */
  request.or_loopback = strcmp(reach, "loopback") == 0;
  request.public_only = request.or_loopback || strcmp(reach, "public") == 0;
  lua_settop(L, 2);
  sched_check_process(L);
  struct error err = ERROR_INIT;
  if (!curl_library_open(&err)) return error_raise(L, &err);
  struct fetch *fetch = lua_newuserdatauv(L, sizeof *fetch, 0);
  *fetch = (struct fetch){.wait = {.cancel = stop}, .method = request.method, .url = url};
  if (!lua_isnil(L, 2)) {
    box_set_type(L, FETCH, on_fetch_gc, NULL);
    read_options(L, 2, fetch, &request);
  }
  fetch->transfer = http_send(runtime_of(L)->web, &request, on_done, fetch, &err);
  if (!fetch->transfer) return error_raise(L, &err);
  return wait_for(L, &fetch->wait, finish, (lua_KContext)fetch);
}

void web_open(lua_State *L)
{
  static const char *const methods[][2] = {{"get", "GET"},        {"head", "HEAD"},
                                           {"post", "POST"},      {"put", "PUT"},
                                           {"patch", "PATCH"},    {"delete", "DELETE"},
                                           {"options", "OPTIONS"}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
    lua_pushstring(L, methods[i][1]);
    lua_pushcclosure(L, fetch, 1);
    lua_setfield(L, -2, methods[i][0]);
  }
}
