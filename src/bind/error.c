#include "bind/error.h"

#include <lauxlib.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "bind/push.h"

#include "api/endpoint.h"

static const char metatable_key; /* its address names the metatable in the registry */

/* What to do next, for messages of the server, which do not say it. Messages of the kinds that are
 * not here say it themselves. */
static const char *const hints[ERROR_KIND_COUNT] = {
    [ERROR_AUTH] = "Run proxylua auth login, or set PROXYLUA_API_KEY to another key.",
    [ERROR_FORBIDDEN] = "This account may not do this; ask 1001Proxy support about its state.",
    [ERROR_NOT_FOUND] = "Check the id (proxylua orders list shows your orders) and the base URL.",
    [ERROR_FUNDS] = "Pay into the account (proxylua deposit), or order less.",
    [ERROR_UPSTREAM] = "Try again later.",
    [ERROR_NETWORK] = "Check the connection, then try again.",
    [ERROR_TIMEOUT] = "Try again, or allow more time.",
    [ERROR_RATE_LIMITED] = "Try again later.",
};

static const char *const charges[] = {
    [CHARGE_NONE] = "",
    [CHARGE_MADE] = " Money has moved: the account was charged.",
    [CHARGE_UNKNOWN] = " Whether money moved is not known.",
};

static void push_metatable(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key);
}

void error_push(lua_State *L, const struct error *err)
{
  luaL_checkstack(L, 3, NULL);
  lua_createtable(L, 0, 8);
  push_metatable(L);
  lua_setmetatable(L, -2);
  set_given(L, "kind", error_kind_name(err->kind));
  set_text(L, "message", err->message);
  set_given(L, "endpoint", err->endpoint);
  set_given(L, "code", err->code);
  set_given(L, "charge", error_charge_name(err->charge));
  if (err->status > 0) {
    set_integer(L, "status", err->status);
  }
  if (err->retry_after >= 0) {
    set_number(L, "retry_after", err->retry_after);
  }
}

void error_mark(lua_State *L)
{
  push_metatable(L);
  lua_setmetatable(L, -2);
}

int error_raise(lua_State *L, const struct error *err)
{
  error_push(L, err);
  lua_error(L);
  __builtin_unreachable();
}

int error_raise_with(lua_State *L, const struct error *err, int details)
{
  details = lua_absindex(L, details);
  error_push(L, err);
  lua_pushvalue(L, details);
  lua_setfield(L, -2, "details");
  lua_error(L);
  __builtin_unreachable();
}

int error_usage(lua_State *L, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  const char *message = lua_pushvfstring(L, format, args);
  va_end(args);
  struct error err = ERROR_INIT;
  error_set(&err, ERROR_USAGE, "%s", message);
  error_raise(L, &err);
}

bool error_test(lua_State *L, int index)
{
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
  push_metatable(L);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* A field that must be text; scripts may have put anything there. Leaves it on the stack. */
static const char *text_field(lua_State *L, int index, const char *name)
{
  lua_pushstring(L, name);
  return lua_rawget(L, index) == LUA_TSTRING ? lua_tostring(L, -1) : "";
}

enum error_kind error_kind_at(lua_State *L, int index)
{
  if (!error_test(L, index)) return ERROR_NONE;
  enum error_kind kind = error_kind_from_name(text_field(L, lua_absindex(L, index), "kind"));
  lua_pop(L, 1);
  return kind;
}

enum error_charge error_charge_at(lua_State *L, int index)
{
  const char *name = text_field(L, lua_absindex(L, index), "charge");
  lua_pop(L, 1);
  if (strcmp(name, error_charge_name(CHARGE_MADE)) == 0) return CHARGE_MADE;
  return strcmp(name, error_charge_name(CHARGE_UNKNOWN)) == 0 ? CHARGE_UNKNOWN : CHARGE_NONE;
}

/* " (orders.create, status 402, INSUFFICIENT_BALANCE)", or nothing; without the status if the
 * message has it. */
static void add_where(lua_State *L, luaL_Buffer *text, bool has_status)
{
  const char *separator = " (";
  static const char *const places[] = {"endpoint", "status", "code"};
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    if (i == 1 && has_status) continue;
    lua_pushstring(L, places[i]);
    lua_rawget(L, 1);
    if (!lua_isstring(L, -1)) {
      lua_pop(L, 1);
      continue;
    }
    lua_pushfstring(L, "%s%s%s", separator, i == 1 ? "status " : "", lua_tostring(L, -1));
    lua_remove(L, -2);
    luaL_addvalue(text);
    separator = ", ";
  }
  if (*separator == ',') luaL_addchar(text, ')');
}

/* Hints for auth, forbidden and not_found are for responses of the server. Errors of these kinds
 * from proxylua itself say what to do. */
static const char *hint_of(lua_State *L, enum error_kind kind)
{
  lua_pushliteral(L, "status");
  bool has_responded = lua_rawget(L, 1) != LUA_TNIL;
  lua_pop(L, 1);
  bool of_server = kind == ERROR_AUTH || kind == ERROR_FORBIDDEN || kind == ERROR_NOT_FOUND;
  return of_server && !has_responded ? NULL : hints[kind];
}

static void add_hint(lua_State *L, luaL_Buffer *text, const char *hint)
{
  lua_pushliteral(L, "retry_after");
  bool timed = lua_rawget(L, 1) == LUA_TNUMBER;
  double seconds = lua_tonumber(L, -1);
  lua_pop(L, 1);
  if (timed && seconds >= 0 && seconds < 1e9) {
    lua_pushfstring(L, " Try again in %d s.", (int)ceil(seconds));
    luaL_addvalue(text);
  } else if (hint) {
    luaL_addchar(text, ' ');
    luaL_addstring(text, hint);
  }
}

/* Ends in a full stop, so that sentences can follow. */
static void add_message(lua_State *L, luaL_Buffer *text, bool more)
{
  lua_pushliteral(L, "message");
  if (lua_rawget(L, 1) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushliteral(L, "no message");
  }
  bool has_status = strstr(lua_tostring(L, -1), "(HTTP ") != NULL;
  luaL_addvalue(text);
  add_where(L, text, has_status);
  const char *last = luaL_buffaddr(text) + luaL_bufflen(text) - 1;
  if (more && !strchr(".!?", *last)) luaL_addchar(text, '.');
}

static int to_string(lua_State *L)
{
  if (!error_test(L, 1))
    return error_usage(L, "an error value is needed, got a %s", luaL_typename(L, 1));
  lua_settop(L, 1);
  enum error_kind kind = error_kind_at(L, 1);
  enum error_charge charge = error_charge_at(L, 1);
  const char *hint = hint_of(L, kind);
  lua_pushliteral(L, "retry_after");
  bool more = lua_rawget(L, 1) == LUA_TNUMBER || hint ||
              (charge != CHARGE_NONE && kind != ERROR_OUTCOME_UNKNOWN);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  luaL_addstring(&text, error_kind_name(kind));
  luaL_addstring(&text, ": ");
  add_message(L, &text, more);
  if (kind != ERROR_OUTCOME_UNKNOWN) luaL_addstring(&text, charges[charge]);
  add_hint(L, &text, hint);
  luaL_pushresult(&text);
  return 1;
}

static const char *const names[] = {"kind",    "message",     "endpoint", "status", "code",
                                    "details", "retry_after", "charge",   NULL};

static void check_names(lua_State *L)
{
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    int i = 0;
    while (names[i] && strcmp(names[i], name) != 0) i++;
    if (names[i]) continue;
    const char *nearest = endpoint_nearest(name, names);
    error_usage(L, "an error has no field \"%s\"%s%s%s", luaL_tolstring(L, -2, NULL),
                nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
  }
}

/* Checks the fields at index 1 and pushes an error value of them. */
static void push_new(lua_State *L)
{
  if (lua_type(L, 1) != LUA_TTABLE)
    error_usage(L, "an error is made of a table of its fields, not of a %s", luaL_typename(L, 1));
  check_names(L);
  const char *kind = text_field(L, 1, "kind"), *message = text_field(L, 1, "message");
  if (error_kind_from_name(kind) == ERROR_NONE) error_usage(L, "\"%s\" is no kind of error", kind);
  if (lua_type(L, -1) != LUA_TSTRING) error_usage(L, "an error needs a message");
  struct error err = ERROR_INIT;
  err.kind = error_kind_from_name(kind);
  err.charge = error_charge_at(L, 1);
  error_set(&err, err.kind, "%s", message);
  error_push(L, &err);
  for (int i = 1; names[i]; i++) {
    lua_getfield(L, 1, names[i]);
    if (lua_isnil(L, -1))
      lua_pop(L, 1);
    else
      lua_setfield(L, -2, names[i]);
  }
}

static int new_error(lua_State *L)
{
  push_new(L);
  return 1;
}

static int is_error(lua_State *L)
{
  lua_pushboolean(L, error_test(L, 1));
  return 1;
}

static int raise(lua_State *L)
{
  if (!error_test(L, 1)) {
    push_new(L);
    return lua_error(L);
  }
  lua_settop(L, 1);
  return lua_error(L);
}

/* kinds(): the list of their names. */
static int list_kinds(lua_State *L)
{
  lua_createtable(L, ERROR_KIND_COUNT - 1, 0);
  for (int kind = ERROR_NONE + 1; kind < ERROR_KIND_COUNT; kind++) {
    lua_pushstring(L, error_kind_name((enum error_kind)kind));
    lua_rawseti(L, -2, kind - ERROR_NONE);
  }
  return 1;
}

void error_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"new", new_error},
                                       {"is", is_error},
                                       {"raise", raise},
                                       {"kinds", list_kinds},
                                       {NULL, NULL}};
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, to_string);
  lua_setfield(L, -2, "__tostring");
  set_text(L, "__name", "px.error");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
  luaL_newlib(L, functions);
}
