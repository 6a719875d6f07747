#include "bind/record/normalize.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/datetime.h"
#include "bind/money.h"

#define DIGITS "0123456789"
#define MILLISECONDS_FROM 1e11     /* as seconds, the year 5138 */
#define LAST_SECOND 253402300799.0 /* of the year 9999 */

static const char
    names_key; /* its address names the registry entry: a list of names for each kind */

static void push_names(lua_State *L, enum record_kind kind)
{
  lua_Integer count = 0;
  lua_newtable(L);
  for (const struct record_field *field = record_fields(kind); field->name; field++) {
    lua_pushstring(L, field->name);
    lua_rawseti(L, -2, ++count);
    for (const char *const *alias = field->aliases; *alias; alias++) {
      lua_pushstring(L, *alias);
      lua_rawseti(L, -2, ++count);
    }
  }
}

void fields_open(lua_State *L)
{
  lua_createtable(L, RECORD_KIND_COUNT, 0);
  for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
    push_names(L, (enum record_kind)kind);
    lua_rawseti(L, -2, kind + 1);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
}

void fields_begin(lua_State *L, struct fields *fields, enum record_kind kind)
{
  luaL_checkstack(L, 64, NULL);
  fields->kind = kind;
  fields->mended = false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
  lua_rawgeti(L, -1, kind + 1);
  int list = lua_gettop(L);
  fields->names = list + 1;
  for (lua_Integer i = 1; lua_rawgeti(L, list, i) != LUA_TNIL; i++) continue;
  money_push_metatable(L);
  fields->metatable = lua_gettop(L);
}

static bool to_text(lua_State *L, int type)
{
  if (type != LUA_TNUMBER) return false;
  lua_tostring(L, -1);
  return true;
}

static bool to_integer(lua_State *L, int type)
{
  size_t size;
  const char *text = type == LUA_TSTRING ? lua_tolstring(L, -1, &size) : "";
  if (!*text || strspn(text, DIGITS "-.") != size) return false;
  int exact;
  lua_Integer integer = lua_tointegerx(L, -1, &exact);
  if (!exact) return false;
  lua_pop(L, 1);
  lua_pushinteger(L, integer);
  return true;
}

/* A server's floating-point noise ("9.299999999999999") must not cost an answer: the nearest amount
 * is what it meant. */
static bool read_money(lua_State *L, int type, money *amount)
{
  struct decimal decimal;
  size_t size;
  const char *text;
  if (type == LUA_TNUMBER && !lua_isinteger(L, -1)) {
    lua_Number number = lua_tonumber(L, -1);
    if (money_from_double(number, amount) == MONEY_OK) return true;
    return decimal_from_double(number, &decimal) == MONEY_OK &&
           money_nearest(&decimal, amount) == MONEY_OK;
  }
  if (type == LUA_TNUMBER) return !__builtin_mul_overflow(lua_tointeger(L, -1), MONEY_UNIT, amount);
  if (type != LUA_TSTRING) return false;
  text = lua_tolstring(L, -1, &size);
  return decimal_parse(text, size, &decimal) == MONEY_OK &&
         money_nearest(&decimal, amount) == MONEY_OK;
}

static bool to_money(lua_State *L, const struct fields *fields, int type)
{
  money amount;
  if (!read_money(L, type, &amount)) return false;
  lua_pop(L, 1);
  money_push_with(L, amount, fields->metatable);
  return true;
}

/* "2026-11-23T20:15:00Z", with a fraction or without. */
static bool is_utc(const char *text, size_t size)
{
  return size >= strlen("2026-11-23T20:15:00Z") && text[4] == '-' && text[10] == 'T' &&
         text[size - 1] == 'Z';
}

/* Seconds of a text other than how we write times. A date alone stays what it is, and so does a
 * short number, which may be a year. */
static bool read_text_time(const char *text, size_t size, double *seconds)
{
  bool is_number = strspn(text, DIGITS ".") == size, is_date = size == strlen("2026-11-23");
  return strlen(text) == size && !is_utc(text, size) && !(is_number && size < 9) &&
         (is_number || !is_date) && date_parse(text, seconds);
}

#define MAX_WRAPPERS 2 /* {"$date": {"$numberLong": "1795464900000"}} */

/* Seconds of the value on top: a number, a text, or one of these as MongoDB wraps it. */
static bool read_seconds(lua_State *L, int type, int wrappers, double *seconds)
{
  static const char *const names[] = {"$date", "$numberLong"};
  if (type == LUA_TTABLE && wrappers < MAX_WRAPPERS) {
    bool read = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !read; i++) {
      lua_pushstring(L, names[i]);
      type = lua_rawget(L, -2);
      read = (type == LUA_TSTRING && date_parse(lua_tostring(L, -1), seconds)) ||
             (type != LUA_TNIL && read_seconds(L, type, wrappers + 1, seconds));
      lua_pop(L, 1);
    }
    return read;
  }
  if (type == LUA_TNUMBER) {
    *seconds = lua_tonumber(L, -1);
    if (*seconds >= MILLISECONDS_FROM) *seconds /= 1000;
  } else if (type == LUA_TSTRING) {
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    if (!read_text_time(text, size, seconds)) return false;
  } else {
    return false;
  }
  return *seconds >= 0 && *seconds <= LAST_SECOND;
}

static bool to_time(lua_State *L, int type)
{
  double seconds;
  struct tm parts;
  char text[40];
  if (!read_seconds(L, type, 0, &seconds)) return false;
  time_t when = (time_t)seconds;
  if (!gmtime_r(&when, &parts)) return false;
  size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  lua_pop(L, 1);
  lua_pushlstring(L, text, size);
  return true;
}

static bool convert(lua_State *L, const struct fields *fields, enum record_type wanted, int type)
{
  switch (wanted) {
    case RECORD_TEXT:
    case RECORD_ID:
    case RECORD_EXACT:
      return to_text(L, type);
    case RECORD_INTEGER:
      return to_integer(L, type);
    case RECORD_MONEY:
      return to_money(L, fields, type);
    case RECORD_TIME:
      return to_time(L, type);
    default:
      return false;
  }
}

/* What makes the converted value on top useless as an id, or as text that has to be exact; NULL if
 * nothing does. U+FFFD counts as unreadable only where it may stand for a surrogate. */
static const char *fault_of(lua_State *L, enum record_type wanted, bool mended)
{
  static const char replacement[] = "\xEF\xBF\xBD";
  if (wanted != RECORD_ID && wanted != RECORD_EXACT) return NULL;
  if (lua_type(L, -1) != LUA_TSTRING) return wanted == RECORD_ID ? "is not a text" : NULL;
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  if (mended && memmem(text, size, replacement, strlen(replacement)))
    return "is not valid Unicode text";
  if (memchr(text, '\0', size)) return "holds a NUL byte";
  if (wanted == RECORD_EXACT) return NULL;
  if (size == 0) return "is empty";
  return size > RECORD_MAX_ID ? "is longer than 512 bytes" : NULL;
}

/* Pushes a field's value, nil when it is absent, and returns its type. *name is moved to the name
 * that it has. */
static int find(lua_State *L, const struct record_field *field, int record, int *name)
{
  for (const char *const *alias = field->aliases;; alias++, ++*name) {
    lua_pushvalue(L, *name);
    int type = lua_rawget(L, record);
    if (type != LUA_TNIL || !*alias) return type;
    lua_pop(L, 1);
  }
}

static int count_names(const struct record_field *field)
{
  int count = 1;
  while (field->aliases[count - 1]) count++;
  return count;
}

/* Sets the value on top, which stays, under the name at a stack index. */
static void set(lua_State *L, int record, int name)
{
  lua_pushvalue(L, name);
  lua_pushvalue(L, -2);
  lua_rawset(L, record);
}

static void remove_name(lua_State *L, int record, int name)
{
  lua_pushvalue(L, name);
  lua_pushnil(L);
  lua_rawset(L, record);
}

static bool is_unreserved(unsigned char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != 0 && strchr("-._~", c));
}

static void add_encoded(luaL_Buffer *url, const char *text, size_t size, const char *plain)
{
  static const char hex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    if (is_unreserved(c) || (c != 0 && strchr(plain, c))) {
      luaL_addchar(url, (char)c);
      continue;
    }
    luaL_addchar(url, '%');
    luaL_addchar(url, hex[c >> 4]);
    luaL_addchar(url, hex[c & 15]);
  }
}

/* Texts of the record, which keeps them alive; "" when absent. */
struct proxy {
  const char *host, *username, *password, *protocol;
  size_t host_size, username_size, password_size;
  lua_Integer port; /* 0: none, -1: not to be understood */
};

static const char *text_of(lua_State *L, const char *name, int record, size_t *size)
{
  lua_pushstring(L, name);
  const char *text = "";
  *size = 0;
  if (lua_rawget(L, record) == LUA_TSTRING) text = lua_tolstring(L, -1, size);
  lua_pop(L, 1);
  return text;
}

static void read_proxy(lua_State *L, int record, struct proxy *proxy)
{
  size_t size;
  proxy->host = text_of(L, "host", record, &proxy->host_size);
  proxy->username = text_of(L, "username", record, &proxy->username_size);
  proxy->password = text_of(L, "password", record, &proxy->password_size);
  proxy->protocol = text_of(L, "protocol", record, &size);
  lua_pushliteral(L, "port");
  int type = lua_rawget(L, record);
  proxy->port = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : type == LUA_TNIL ? 0 : -1;
  lua_pop(L, 1);
}

/* The protocol as a URL's scheme: in small letters, "http" for what is none ("HTTP/SOCKS5"). */
static void add_scheme(luaL_Buffer *url, const char *protocol)
{
  bool plain = *protocol != '\0';
  for (const char *c = protocol; *c && plain; c++)
    plain = (*c | 0x20) >= 'a' ? (*c | 0x20) <= 'z' : *c >= '0' && *c <= '9';
  for (const char *c = plain ? protocol : "http"; *c; c++)
    luaL_addchar(url, *c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
  luaL_addstring(url, "://");
}

static void push_url(lua_State *L, const struct proxy *proxy)
{
  luaL_Buffer url;
  luaL_buffinit(L, &url);
  add_scheme(&url, proxy->protocol);
  if (proxy->username_size > 0 || proxy->password_size > 0) {
    add_encoded(&url, proxy->username, proxy->username_size, "");
    if (proxy->password_size > 0) luaL_addchar(&url, ':');
    add_encoded(&url, proxy->password, proxy->password_size, "");
    luaL_addchar(&url, '@');
  }
  bool bare_ipv6 = *proxy->host != '[' && memchr(proxy->host, ':', proxy->host_size);
  if (bare_ipv6) luaL_addchar(&url, '[');
  add_encoded(&url, proxy->host, proxy->host_size, "[:]");
  if (bare_ipv6) luaL_addchar(&url, ']');
  if (proxy->port > 0) {
    lua_pushfstring(L, ":%I", (LUAI_UACINT)proxy->port);
    luaL_addvalue(&url);
  }
  luaL_pushresult(&url);
}

/* Adds the URL, which the server does not send, and the protocol http where it sent none. */
static void complete_proxy(lua_State *L, int record)
{
  struct proxy proxy;
  read_proxy(L, record, &proxy);
  if (!*proxy.protocol) {
    lua_pushliteral(L, "protocol");
    lua_pushliteral(L, "http");
    lua_rawset(L, record);
  }
  if (!*proxy.host || proxy.port < 0 || proxy.port > 65535) return;
  lua_pushliteral(L, "url");
  push_url(L, &proxy);
  lua_rawset(L, record);
}

/* Whether the record has one of the fields without which it is not one. */
static bool has_mark(lua_State *L, enum record_kind kind, int record)
{
  const char *const *mark = record_marks(kind);
  bool has = !*mark;
  for (; *mark && !has; mark++) {
    lua_pushstring(L, *mark);
    has = lua_rawget(L, record) != LUA_TNIL;
    lua_pop(L, 1);
  }
  return has;
}

bool fields_convert(lua_State *L, const struct fields *fields, int record)
{
  int first = fields->names;
  const char *fault = NULL, *at_fault = NULL;
  for (const struct record_field *field = record_fields(fields->kind); field->name; field++) {
    int name = first, type = find(L, field, record, &name);
    if (type != LUA_TNIL) {
      bool changed = convert(L, fields, field->type, type);
      const char *why = fault_of(L, field->type, fields->mended);
      if (name != first) remove_name(L, record, name);
      if (why) {
        fault = why;
        at_fault = field->name;
        remove_name(L, record, first);
      } else if (changed || name != first) {
        set(L, record, first);
      }
    }
    lua_pop(L, 1);
    first += count_names(field);
  }
  if (!fault && !has_mark(L, fields->kind, record)) {
    at_fault = *record_marks(fields->kind);
    fault = "is missing";
  }
  if (fault) {
    lua_pushfstring(L, "%s %s", at_fault, fault);
    return false;
  }
  if (fields->kind == RECORD_PROXY) complete_proxy(L, record);
  return true;
}

int fields_get(lua_State *L, const struct fields *fields, int record, int position)
{
  const struct record_field *field = record_fields(fields->kind);
  int name = fields->names;
  for (int i = 0; i < position; i++) name += count_names(field++);
  int type = find(L, field, record, &name);
  convert(L, fields, field->type, type);
  if (type != LUA_TNIL && fault_of(L, field->type, fields->mended)) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  return lua_type(L, -1);
}
