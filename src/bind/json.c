/* Reading goes through lua-cjson, with seven of the calls it makes replaced by those below (see
 * `hooks` in the Makefile), so that numbers, nulls, empty lists and the sizes of tables come out
 * right at once instead of in a second pass. */
#include "bind/json.h"

#include <lauxlib.h>
#include <lua-cjson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "bind/args.h"
#include "bind/error.h"
#include "bind/push.h"

#define LEVELS 16         /* of nesting, whose sizes are remembered */
#define LARGEST_GUESS 256 /* fields or items that a table is made for in advance */

/* Their addresses name registry entries: cjson's decode, the mark of lists, px.json.null. */
static const char decode_key, list_key, null_key;

/* Upvalue 2 of cjson's decode. Upvalue 3 is the mark of lists. */
struct decoder {
  bool list; /* the table about to be made is a list */
  unsigned short
      sizes[LEVELS]; /* of the last table on each level, a fair guess of the next one's */
};

/* What the linker puts in the place of the functions that lua-cjson calls (`hooks` in the
 * Makefile).
 */
#define IN_PLACE_OF(name) __asm__("__wrap_" #name)
int json_check_stack(lua_State *L, int slots) IN_PLACE_OF(lua_checkstack);
void json_new_table(lua_State *L, int items, int fields) IN_PLACE_OF(lua_createtable);
void json_set_field(lua_State *L, int table) IN_PLACE_OF(lua_rawset);
void json_set_item(lua_State *L, int table, lua_Integer position) IN_PLACE_OF(lua_rawseti);
void json_push_number(lua_State *L, lua_Number number) IN_PLACE_OF(lua_pushnumber);
void json_push_null(lua_State *L, void *null) IN_PLACE_OF(lua_pushlightuserdata);
double json_read_number(const char *text, char **end) IN_PLACE_OF(fpconv_strtod);
extern FILE *json_stderr IN_PLACE_OF(stderr);

FILE *json_stderr; /* lua-cjson writes there before it ends the process without memory */

__attribute__((constructor)) static void set_stderr(void)
{
  json_stderr = stderr;
}

static struct decoder *decoder_of(lua_State *L)
{
  return lua_touserdata(L, lua_upvalueindex(2));
}

/* cjson asks for three slots before an object and for two before a list. */
int json_check_stack(lua_State *L, int slots)
{
  struct decoder *decoder = decoder_of(L);
  if (decoder) decoder->list = slots == 2;
  return lua_checkstack(L, slots + 1);
}

/* `base` is the height of the stack below the table. */
static unsigned short *size_at(struct decoder *decoder, int base)
{
  return &decoder->sizes[base % LEVELS];
}

void json_new_table(lua_State *L, int items, int fields)
{
  struct decoder *decoder = decoder_of(L);
  if (!decoder) {
    lua_createtable(L, items, fields);
    return;
  }
  unsigned short *size = size_at(decoder, lua_gettop(L));
  int guess = *size < LARGEST_GUESS ? *size : LARGEST_GUESS;
  *size = 0;
  if (!decoder->list) {
    lua_createtable(L, 0, guess);
    return;
  }
  lua_createtable(L, guess, 0);
  lua_pushvalue(L, lua_upvalueindex(3));
  lua_setmetatable(L, -2);
}

void json_set_field(lua_State *L, int table)
{
  struct decoder *decoder = decoder_of(L);
  if (decoder) ++*size_at(decoder, lua_gettop(L) - 3);
  lua_rawset(L, table);
}

/* The mark comes off with the first item. */
void json_set_item(lua_State *L, int table, lua_Integer position)
{
  struct decoder *decoder = decoder_of(L);
  if (decoder)
    *size_at(decoder, lua_gettop(L) - 2) =
        (unsigned short)(position < LARGEST_GUESS ? position : LARGEST_GUESS);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    json_push_null_value(L);
  }
  if (position == 1) {
    lua_pushnil(L);
    lua_setmetatable(L, table - 1);
  }
  lua_rawseti(L, table, position);
}

void json_push_null(lua_State *L, void *null)
{
  (void)null;
  lua_pushnil(L);
}

/* A long number travels from json_read_number to json_push_number as a NaN that holds its address
 * in the text. */
static double wrap_address(const char *text)
{
  uint64_t bits = UINT64_C(0x7FF8000000000000) | (uint64_t)(uintptr_t)text;
  double number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

static const char *unwrap_address(double number)
{
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  return (const char *)(uintptr_t)(bits & UINT64_C(0x0007FFFFFFFFFFFF));
}

void json_push_number(lua_State *L, lua_Number number)
{
  if (number > -1e15 && number < 1e15) {
    lua_Integer integer = (lua_Integer)number;
    if ((lua_Number)integer == number)
      lua_pushinteger(L, integer);
    else
      lua_pushnumber(L, number);
  } else if (isnan(number)) {
    const char *text = unwrap_address(number);
    lua_pushlstring(L, text, strspn(text, "0123456789+-.eE"));
  } else {
    lua_pushnumber(L, number);
  }
}

/* Reads by JSON's own grammar, which strtod does not keep to. *end stays at `text` when there is no
 * number, or one that is too big. */
double json_read_number(const char *text, char **end)
{
  struct json_number number;
  const char *after = json_scan_number(text, &number);
  *end = (char *)(after ? after : text);
  if (!after) return 0;
  return number.type == JSON_DIGITS ? wrap_address(text) : number.value;
}

/* cjson's message on top, in words. */
static void explain(lua_State *L)
{
  static const char *const words[][2] = {
      {"Expected value", "expected a value"},
      {"Expected", "expected"},
      {"invalid token", "something else"},
      {"invalid number", "a malformed or too big number"},
      {"object key string", "a key in quotes"},
      {"comma or array end", "',' or ']'"},
      {"comma or object end", "',' or '}'"},
      {"colon", "':'"},
      {"T_OBJ_BEGIN", "'{'"},
      {"T_OBJ_END", "'}'"},
      {"T_ARR_BEGIN", "'['"},
      {"T_ARR_END", "']'"},
      {"T_STRING", "a string"},
      {"T_NUMBER", "a number"},
      {"T_BOOLEAN", "true or false"},
      {"T_NULL", "null"},
      {"T_COLON", "':'"},
      {"T_COMMA", "','"},
      {"T_END", "the end"},
  };
  const char *message = lua_tostring(L, -1);
  if (strncmp(message, "Found too many", 14) == 0) {
    lua_pushfstring(L, "more than %d levels of nesting%s", JSON_MAX_DEPTH, strstr(message, " at "));
    lua_remove(L, -2);
    return;
  }
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    luaL_gsub(L, lua_tostring(L, -1), words[i][0], words[i][1]);
    lua_remove(L, -2);
  }
}

/* Checks what cjson leaves unchecked. NULL, or a message that is pushed. */
static const char *check(lua_State *L, const char *text, size_t size)
{
  if (size > JSON_MAX_SIZE)
    return lua_pushfstring(L, "longer than %d MiB", (int)(JSON_MAX_SIZE >> 20));
  const char *nul = memchr(text, '\0', size);
  return nul ? lua_pushfstring(L, "a NUL byte at character %d", (int)(nul - text) + 1) : NULL;
}

/* Replaces the text on top by its value, or by a message. */
static bool decode(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &decode_key);
  lua_insert(L, -2);
  int status = lua_pcall(L, 1, 1, 0);
  if (status == LUA_OK) return true;
  if (status != LUA_ERRRUN) return lua_error(L);
  explain(L);
  return false;
}

void json_decode(lua_State *L)
{
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  luaL_checkstack(L, 4, NULL);
  if (!check(L, text, size) && decode(L)) return;
  struct error err = ERROR_INIT;
  error_set(&err, ERROR_PROTOCOL, "what came is not JSON: %s", lua_tostring(L, -1));
  error_raise(L, &err);
}

void json_push_null_value(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key);
}

bool json_is_null(lua_State *L, int index)
{
  index = lua_absindex(L, index);
  json_push_null_value(L);
  bool same = lua_rawequal(L, index, -1);
  lua_pop(L, 1);
  return same;
}

static int null_text(lua_State *L)
{
  lua_pushliteral(L, "null");
  return 1;
}

static void make_null(lua_State *L)
{
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 3);
  set_text(L, "__name", "json.null");
  set_flag(L, "__metatable", false);
  lua_pushcfunction(L, null_text);
  lua_setfield(L, -2, "__tostring");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
}

static void push_mark(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
}

void json_mark_list(lua_State *L)
{
  push_mark(L);
  lua_setmetatable(L, -2);
}

bool json_is_list(lua_State *L, int index)
{
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
  push_mark(L);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* json.decode(text) */
static int decode_text(lua_State *L)
{
  if (lua_type(L, 1) != LUA_TSTRING)
    return error_usage(L, "json.decode takes a text, got a %s", luaL_typename(L, 1));
  size_t size;
  const char *text = lua_tolstring(L, 1, &size);
  lua_settop(L, 1);
  if (check(L, text, size) || !decode(L))
    return error_usage(L, "json.decode: not JSON: %s", lua_tostring(L, -1));
  return 1;
}

/* Reads the option on top of the stack. */
static void read_option(lua_State *L, const char *name, struct json_form *form)
{
  int exact;
  if (strcmp(name, "indent") == 0) {
    lua_Integer indent = lua_tointegerx(L, -1, &exact);
    if (!exact || indent < 0 || indent > 16)
      error_usage(L, "json.encode: indent is 0 to 16 blanks");
    form->indent = (int)indent;
  } else {
    form->escape = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "escape") == 0;
    if (!form->escape) error_usage(L, "json.encode: bytes is \"escape\", or left out");
  }
}

/* json.encode(value, {indent = 2, bytes = "escape"}): the text; and where the first escaped bytes
 * are. */
static int encode_value(lua_State *L)
{
  static const char *const known[] = {"indent", "bytes", NULL};
  struct json_form form = {0};
  if (lua_isnone(L, 1)) return error_usage(L, "json.encode takes a value");
  if (!lua_isnoneornil(L, 2)) {
    if (!lua_istable(L, 2))
      return error_usage(L, "json.encode: options are a table, got a %s", luaL_typename(L, 2));
    options_check(L, 2, "json.encode", known);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) read_option(L, lua_tostring(L, -2), &form);
  }
  return json_encode_as(L, 1, &form) ? 2 : 1;
}

/* json.array(table) */
static int array(lua_State *L)
{
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  if (!lua_istable(L, 1))
    return error_usage(L, "json.array takes a table, got a %s", luaL_typename(L, 1));
  if (lua_getmetatable(L, 1)) {
    if (!json_is_list(L, 1))
      return error_usage(L, "json.array: this table has a metatable already");
    lua_pop(L, 1);
  }
  json_mark_list(L);
  return 1;
}

static void make_mark(lua_State *L)
{
  lua_createtable(L, 0, 1);
  set_text(L, "__name", "json.array");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
}

/* cjson's decode with its configuration, a decoder and the mark of lists as upvalues. */
static void make_decode(lua_State *L)
{
  lua_pushcfunction(L, luaopen_cjson);
  lua_call(L, 0, 1);
  lua_getfield(L, -1, "decode_max_depth");
  lua_pushinteger(L, JSON_MAX_DEPTH);
  lua_call(L, 1, 0);
  lua_getfield(L, -1, "decode");
  lua_getupvalue(L, -1, 1);
  memset(lua_newuserdatauv(L, sizeof(struct decoder), 0), 0, sizeof(struct decoder));
  push_mark(L);
  lua_pushcclosure(L, lua_tocfunction(L, -4), 3);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &decode_key);
  lua_pop(L, 2);
}

void json_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"encode", encode_value},
                                       {"decode", decode_text},
                                       {"array", array},
                                       {NULL, NULL}};
  make_mark(L);
  make_null(L);
  make_decode(L);
  luaL_newlib(L, functions);
  json_push_null_value(L);
  lua_setfield(L, -2, "null");
}
