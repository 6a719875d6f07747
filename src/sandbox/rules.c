#include "sandbox/rules.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/host.h"

struct rules {
  lua_State *L;
  int handle, authorize; /* references to the functions of the rules */
  char key[256];
};

struct opening {
  const char *const *settings;
  lua_CFunction prepare;
  const int *ports;
  struct rules *rules;
};

static void push_settings(lua_State *L, const char *const *settings)
{
  lua_newtable(L);
  for (lua_Integer i = 0; settings && settings[i]; i++) {
    lua_pushstring(L, settings[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_host(lua_State *L, const struct opening *opening)
{
  host_push(L);
  lua_pushcfunction(L, opening->prepare);
  lua_call(L, 0, 1);
  lua_setfield(L, -2, "json");
  lua_newtable(L);
  for (lua_Integer i = 0; i < RULES_PORTS; i++) {
    lua_pushinteger(L, opening->ports[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "ports");
}

/* Stack: opening -> nothing. */
static int start(lua_State *L)
{
  const struct opening *opening = lua_touserdata(L, 1);
  struct rules *rules = opening->rules;
  luaL_openlibs(L);
  push_host(L, opening);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "proxylua.sandbox");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "open");
  push_settings(L, opening->settings);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 3);
  size_t size;
  const char *key = luaL_checklstring(L, -1, &size);
  if (size >= sizeof rules->key) luaL_error(L, "the key is too long");
  memcpy(rules->key, key, size + 1);
  lua_pop(L, 1);
  rules->authorize = luaL_ref(L, LUA_REGISTRYINDEX);
  rules->handle = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* Stack: error -> kind, message. */
static int explain(lua_State *L)
{
  if (lua_istable(L, 1)) {
    lua_getfield(L, 1, "kind");
    lua_getfield(L, 1, "message");
    if (lua_isstring(L, -1) && lua_isstring(L, -2)) return 2;
  }
  lua_pushliteral(L, "internal");
  luaL_tolstring(L, 1, NULL);
  return 2;
}

static void copy_error(lua_State *L, struct error *err)
{
  lua_pushcfunction(L, explain);
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 2, 0) != LUA_OK)
    error_set(err, ERROR_INTERNAL, "the sandbox cannot start: out of memory");
  else
    error_set(err, error_kind_from_name(lua_tostring(L, -2)), "%s", lua_tostring(L, -1));
}

struct rules *rules_open(const char *const *settings, lua_CFunction prepare,
                         const int ports[RULES_PORTS], struct error *err)
{
  struct rules *rules = calloc(1, sizeof *rules);
  struct opening opening = {settings, prepare, ports, rules};
  if (rules) rules->L = luaL_newstate();
  if (!rules || !rules->L) {
    free(rules);
    error_set(err, ERROR_INTERNAL, "the sandbox cannot start: out of memory");
    return NULL;
  }
  lua_pushcfunction(rules->L, start);
  lua_pushlightuserdata(rules->L, &opening);
  if (lua_pcall(rules->L, 1, 0, 0) == LUA_OK) return rules;
  copy_error(rules->L, err);
  rules_close(rules);
  return NULL;
}

void rules_close(struct rules *rules)
{
  if (!rules) return;
  lua_close(rules->L);
  free(rules);
}

const char *rules_key(const struct rules *rules)
{
  return rules->key;
}

/* Stack: error, its thread (NULL: without a traceback) -> text. */
static int trace(lua_State *L)
{
  lua_State *where = lua_touserdata(L, 2);
  if (lua_istable(L, 1) && lua_getfield(L, 1, "message") == LUA_TSTRING) return 1;
  const char *text = luaL_tolstring(L, 1, NULL);
  if (where) luaL_traceback(L, where, text, 0);
  return 1;
}

/* Pops the error on top of `where`, which is a call's thread or the main one. */
static void log_failure(struct rules *rules, lua_State *where)
{
  lua_State *L = rules->L;
  if (where != L) lua_xmove(where, L, 1);
  lua_pushcfunction(L, trace);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, where == L ? NULL : where);
  lua_pcall(L, 2, 1, 0);
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no message";
  fprintf(stderr, "proxylua sandbox: the rules failed: %s\n", text);
  lua_pop(L, 1);
}

struct beginning {
  struct rules *rules;
  const struct rules_request *request;
  struct rules_call *call;
};

static void push_lower(lua_State *L, const char *text)
{
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  for (; *text; text++)
    luaL_addchar(&out, (char)(*text >= 'A' && *text <= 'Z' ? *text + ('a' - 'A') : *text));
  luaL_pushresult(&out);
}

static void push_request(lua_State *L, const struct rules_request *request)
{
  lua_createtable(L, 0, 5);
  lua_pushstring(L, request->method);
  lua_setfield(L, -2, "method");
  lua_pushstring(L, request->target);
  lua_setfield(L, -2, "target");
  lua_pushstring(L, request->peer);
  lua_setfield(L, -2, "peer");
  lua_pushlstring(L, request->body, request->size);
  lua_setfield(L, -2, "body");
  lua_newtable(L);
  for (const struct rules_header *header = request->headers; header->name; header++) {
    push_lower(L, header->name);
    lua_pushstring(L, header->value);
    lua_rawset(L, -3);
  }
  lua_setfield(L, -2, "headers");
}

/* Stack: beginning -> nothing; the function and its argument wait on the new thread. */
static int begin(lua_State *L)
{
  const struct beginning *beginning = lua_touserdata(L, 1);
  lua_State *thread = lua_newthread(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, beginning->rules->handle);
  push_request(L, beginning->request);
  lua_xmove(L, thread, 2);
  beginning->call->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
  beginning->call->L = thread;
  return 0;
}

/* What the rules returned: status, body, headers, length, more at 1 to 5. Nothing here allocates.
 */
static enum rules_result read_response(struct rules_call *call, struct rules_response *response)
{
  lua_State *L = call->L;
  lua_settop(L, 5);
  response->status = (int)lua_tointeger(L, 1);
  response->body = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &response->size) : "";
  response->length = lua_isinteger(L, 4) ? (long long)lua_tointeger(L, 4) : -1;
  response->more = lua_isfunction(L, 5);
  return RULES_ANSWER;
}

static enum rules_result go_on(struct rules *rules, struct rules_call *call, int arguments,
                               struct rules_response *response)
{
  int results = 0, status = lua_resume(call->L, rules->L, arguments, &results);
  *response = (struct rules_response){.body = ""};
  if (status == LUA_OK && lua_checkstack(call->L, 8)) return read_response(call, response);
  if (status == LUA_YIELD && results == 1 && lua_type(call->L, -1) == LUA_TNUMBER) {
    response->wait = lua_tonumber(call->L, -1);
    lua_pop(call->L, 1);
    return RULES_WAIT;
  }
  log_failure(rules, call->L);
  rules_end(rules, call);
  return RULES_FAILED;
}

enum rules_result rules_begin(struct rules *rules, const struct rules_request *request,
                              struct rules_call *call, struct rules_response *response)
{
  struct beginning beginning = {rules, request, call};
  call->L = NULL;
  lua_pushcfunction(rules->L, begin);
  lua_pushlightuserdata(rules->L, &beginning);
  if (lua_pcall(rules->L, 1, 0, 0) == LUA_OK) return go_on(rules, call, 1, response);
  log_failure(rules, rules->L);
  return RULES_FAILED;
}

enum rules_result rules_resume(struct rules *rules, struct rules_call *call,
                               struct rules_response *response)
{
  return go_on(rules, call, 0, response);
}

void rules_headers(const struct rules_call *call,
                   void (*each)(void *arg, const char *name, const char *value), void *arg)
{
  lua_State *L = call->L;
  if (!lua_istable(L, 3)) return;
  for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING)
      each(arg, lua_tostring(L, -2), lua_tostring(L, -1));
}

const char *rules_more(struct rules *rules, struct rules_call *call, size_t *size, bool *failed)
{
  lua_State *L = call->L;
  lua_settop(L, 5);
  lua_pushvalue(L, 5);
  *failed = lua_pcall(L, 0, 1, 0) != LUA_OK;
  if (*failed) log_failure(rules, L);
  return !*failed && lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, size) : NULL;
}

void rules_end(struct rules *rules, struct rules_call *call)
{
  if (call->L) luaL_unref(rules->L, LUA_REGISTRYINDEX, call->anchor);
  call->L = NULL;
}

struct asking {
  struct rules *rules;
  const char *user, *password, *target;
  struct rules_exit *way;
};

/* Stack: asking -> whether it is allowed. */
static int authorize(lua_State *L)
{
  const struct asking *asking = lua_touserdata(L, 1);
  struct rules_exit *way = asking->way;
  lua_rawgeti(L, LUA_REGISTRYINDEX, asking->rules->authorize);
  lua_pushstring(L, asking->user);
  lua_pushstring(L, asking->password);
  lua_pushstring(L, asking->target);
  lua_call(L, 3, 4);
  if (lua_isnil(L, -4)) {
    lua_pushboolean(L, false);
    return 1;
  }
  size_t size;
  const char *address = luaL_checklstring(L, -4, &size);
  if (size >= sizeof way->address) return luaL_error(L, "an exit address is too long");
  memcpy(way->address, address, size + 1);
  way->status = (int)lua_tointeger(L, -3);
  way->delay = lua_tonumber(L, -2);
  way->cut = lua_toboolean(L, -1);
  lua_pushboolean(L, true);
  return 1;
}

bool rules_authorize(struct rules *rules, const char *user, const char *password,
                     const char *target, struct rules_exit *way)
{
  lua_State *L = rules->L;
  struct asking asking = {rules, user, password, target, way};
  *way = (struct rules_exit){0};
  lua_pushcfunction(L, authorize);
  lua_pushlightuserdata(L, &asking);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    log_failure(rules, L);
    return false;
  }
  bool allowed = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return allowed;
}
