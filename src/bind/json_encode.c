/* Writing JSON: lua-cjson keeps 14 digits and takes empty lists for objects, so this is our own.
 * Tables are read raw, no Lua code runs meanwhile, and object keys are sorted, so that equal values
 * give equal texts. */
#include <lauxlib.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "bind/box.h"
#include "bind/error.h"
#include "bind/json.h"
#include "bind/money.h"

static const char encoder_key; /* its address names the idle encoder in the registry */

#define ENCODER "proxylua.json.encoder"

/* A userdata, so that nothing leaks when Lua raises. */
struct encoder {
  struct buffer out;
  struct buffer keys; /* struct key, a stack: those of all objects under way */
  struct buffer raw;  /* a string with bytes that are not UTF-8, on its way into `out` */
  int indent;
  bool escape;     /* such bytes are escaped, and no reason to refuse */
  char place[256]; /* of the first of them, "" for none */
};

struct key {
  const char *text;
  size_t size;
  int index; /* of the key on the Lua stack, which keeps it alive */
};

/* Where the value is, for messages. */
struct place {
  const struct place *up;
  const void *table; /* that it lies in */
  const char *name;  /* NULL in a list */
  lua_Integer position;
  int depth;
};

/* a.b[1], the first eight steps of it. */
static void add_place(luaL_Buffer *text, const struct place *place)
{
  if (!place->up) return;
  add_place(text, place->up);
  if (place->depth == 9) luaL_addstring(text, " ...");
  if (place->depth >= 9) return;
  if (place->name) {
    if (place->up->up) luaL_addchar(text, '.');
    luaL_addstring(text, place->name);
    return;
  }
  char position[32];
  snprintf(position, sizeof position, "[%lld]", (long long)place->position);
  luaL_addstring(text, position);
}

/* Pushes "orders[3].price". */
static const char *push_place(lua_State *L, const struct place *place)
{
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  add_place(&text, place);
  if (!place->up) luaL_addstring(&text, "the value");
  luaL_pushresult(&text);
  return lua_tostring(L, -1);
}

/* Raises: "json.encode: orders[3].price is a function, which JSON cannot hold". */
static __attribute__((noreturn)) void refuse(lua_State *L, const struct place *place,
                                             const char *what)
{
  error_usage(L, "json.encode: %s %s", push_place(L, place), what);
}

static void need(lua_State *L, bool done)
{
  if (!done) luaL_error(L, "not enough memory");
}

static void add(lua_State *L, struct encoder *encoder, const char *text)
{
  need(L, buffer_add_text(&encoder->out, text));
}

static void add_line(lua_State *L, struct encoder *encoder, int depth)
{
  if (encoder->indent > 0)
    need(L, buffer_print(&encoder->out, "\n%*s", encoder->indent * depth, ""));
}

/* The bytes of the UTF-8 character at `text`, 0 when it is none: no overlong form, no surrogate,
 * nothing above U+10FFFF. */
static size_t character(const unsigned char *text, size_t left)
{
  static const struct {
    unsigned char first, last, low, high; /* range of the first byte, and of the second */
    unsigned char size;
  } forms[] = {{0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
               {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3},
               {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
               {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
  if (text[0] < 0x80) return 1;
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    if (text[0] < forms[i].first || text[0] > forms[i].last) continue;
    if (left < forms[i].size || text[1] < forms[i].low || text[1] > forms[i].high) return 0;
    for (size_t k = 2; k < forms[i].size; k++)
      if ((text[k] & 0xC0) != 0x80) return 0;
    return forms[i].size;
  }
  return 0;
}

static bool is_utf8(const char *text, size_t size)
{
  for (size_t i = 0, step; i < size; i += step) {
    step = character((const unsigned char *)text + i, size - i);
    if (step == 0) return false;
  }
  return true;
}

/* Each byte that is not UTF-8 becomes an unpaired surrogate, U+DC80 to U+DCFF, from which it can be
 * restored. */
static void add_escaped(lua_State *L, struct encoder *encoder, const char *text, size_t size)
{
  encoder->raw.size = 0;
  need(L, buffer_add_json(&encoder->raw, text, size));
  const char *raw = encoder->raw.data;
  for (size_t i = 0, step; i < encoder->raw.size; i += step) {
    step = character((const unsigned char *)raw + i, encoder->raw.size - i);
    need(L, step > 0 ? buffer_add(&encoder->out, raw + i, step)
                     : buffer_print(&encoder->out, "\\udc%02x", (unsigned char)raw[i]));
    if (step == 0) step = 1;
  }
}

static void add_string(lua_State *L, struct encoder *encoder, const struct place *place,
                       const char *text, size_t size)
{
  if (is_utf8(text, size)) {
    need(L, buffer_add_json(&encoder->out, text, size));
    return;
  }
  if (!encoder->escape)
    refuse(L, place, "holds bytes that are not UTF-8; the option bytes = \"escape\" writes them");
  if (!*encoder->place) {
    snprintf(encoder->place, sizeof encoder->place, "%s", push_place(L, place));
    lua_pop(L, 1);
  }
  add_escaped(L, encoder, text, size);
}

/* The shortest of 15 to 17 digits that reads back the same. */
static void add_float(lua_State *L, struct encoder *encoder, const struct place *place,
                      double number)
{
  if (!isfinite(number)) refuse(L, place, "is not a finite number");
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, number);
    if (strtod(text, NULL) == number) break;
  }
  char *point = strpbrk(text, ","); /* the locale's decimal point */
  if (point) *point = '.';
  add(L, encoder, text);
}

static void add_number(lua_State *L, struct encoder *encoder, const struct place *place)
{
  if (lua_isinteger(L, -1))
    need(L, buffer_print(&encoder->out, "%lld", (long long)lua_tointeger(L, -1)));
  else
    add_float(L, encoder, place, lua_tonumber(L, -1));
}

static void add_value(lua_State *L, struct encoder *encoder, const struct place *place);

static void add_list(lua_State *L, struct encoder *encoder, const struct place *place,
                     lua_Integer count)
{
  struct place item = {.up = place, .table = lua_topointer(L, -1), .depth = place->depth + 1};
  add(L, encoder, "[");
  for (item.position = 1; item.position <= count; item.position++) {
    if (item.position > 1) add(L, encoder, ",");
    add_line(L, encoder, item.depth);
    if (lua_rawgeti(L, -1, item.position) == LUA_TNIL)
      refuse(L, &item, "is absent: the list has a gap");
    add_value(L, encoder, &item);
    lua_pop(L, 1);
  }
  if (count > 0) add_line(L, encoder, place->depth);
  add(L, encoder, "]");
}

static struct key *key_at(struct encoder *encoder, size_t offset)
{
  return (struct key *)(void *)(encoder->keys.data + offset);
}

static int compare_keys(const void *left, const void *right)
{
  const struct key *a = left, *b = right;
  int order = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);
  return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* The keys of the object lie in encoder->keys from `start` on, and on the stack above it. */
static void add_object(lua_State *L, struct encoder *encoder, const struct place *place, int table,
                       size_t start)
{
  size_t end = encoder->keys.size;
  if (end > start)
    qsort(key_at(encoder, start), (end - start) / sizeof(struct key), sizeof(struct key),
          compare_keys);
  add(L, encoder, "{");
  for (size_t at = start; at < end; at += sizeof(struct key)) {
    struct key key = *key_at(encoder, at);
    struct place field = {.up = place,
                          .table = lua_topointer(L, table),
                          .name = key.text,
                          .depth = place->depth + 1};
    if (at > start) add(L, encoder, ",");
    add_line(L, encoder, field.depth);
    add_string(L, encoder, &field, key.text, key.size);
    add(L, encoder, encoder->indent > 0 ? ": " : ":");
    lua_pushvalue(L, key.index);
    lua_rawget(L, table);
    add_value(L, encoder, &field);
    lua_pop(L, 1);
  }
  if (end > start) add_line(L, encoder, place->depth);
  add(L, encoder, "}");
  encoder->keys.size = start;
}

/* Collects the string keys of a table, which stay on the stack; returns the number of keys that
 * are positions. */
static lua_Integer collect_keys(lua_State *L, struct encoder *encoder, const struct place *place,
                                int table)
{
  lua_Integer positions = 0, length = (lua_Integer)lua_rawlen(L, table);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) {
      if (!lua_checkstack(L, 8)) refuse(L, place, "has too many fields");
      struct key key = {.index = lua_gettop(L)};
      key.text = lua_tolstring(L, -1, &key.size);
      need(L, buffer_add(&encoder->keys, &key, sizeof key));
      lua_pushvalue(L, -1);
    } else if (lua_isinteger(L, -1)) {
      lua_Integer position = lua_tointeger(L, -1);
      if (position < 1 || position > length)
        refuse(L, place, "is a list with gaps, or has numbers for keys");
      positions++;
    } else {
      refuse(L, place,
             lua_pushfstring(L, "has a %s for a key; JSON has only text", luaL_typename(L, -1)));
    }
  }
  return positions;
}

static void add_table(lua_State *L, struct encoder *encoder, const struct place *place)
{
  for (const struct place *at = place; at->up; at = at->up)
    if (at->table == lua_topointer(L, -1))
      refuse(L, place, "is a table that it lies in: the value contains itself");
  if (place->depth >= JSON_MAX_DEPTH) refuse(L, place, "lies deeper than 128 levels");
  if (!lua_checkstack(L, 8)) refuse(L, place, "has too many fields");
  int table = lua_gettop(L);
  lua_Integer length = (lua_Integer)lua_rawlen(L, table);
  if (json_is_list(L, table)) {
    add_list(L, encoder, place, length);
    return;
  }
  size_t start = encoder->keys.size;
  lua_Integer positions = collect_keys(L, encoder, place, table);
  bool object = encoder->keys.size > start;
  if (object && positions > 0)
    refuse(L, place, "mixes positions and names; json.array writes the positions alone");
  if (positions < length) refuse(L, place, "is a list with gaps");
  if (object || length == 0)
    add_object(L, encoder, place, table, start);
  else
    add_list(L, encoder, place, length);
  lua_settop(L, table);
}

/* Adds the value on top, which stays. */
static void add_value(lua_State *L, struct encoder *encoder, const struct place *place)
{
  size_t size;
  const char *text;
  char amount[MONEY_TEXT];
  const money *money_value;
  switch (lua_type(L, -1)) {
    case LUA_TNIL:
      add(L, encoder, "null");
      return;
    case LUA_TBOOLEAN:
      add(L, encoder, lua_toboolean(L, -1) ? "true" : "false");
      return;
    case LUA_TNUMBER:
      add_number(L, encoder, place);
      return;
    case LUA_TSTRING:
      text = lua_tolstring(L, -1, &size);
      add_string(L, encoder, place, text, size);
      return;
    case LUA_TTABLE:
      add_table(L, encoder, place);
      return;
    default:
      break;
  }
  if (json_is_null(L, -1)) {
    add(L, encoder, "null");
    return;
  }
  money_value = money_test(L, -1);
  if (!money_value)
    refuse(L, place, lua_pushfstring(L, "is a %s, which JSON cannot hold", luaL_typename(L, -1)));
  money_format(*money_value, amount);
  add(L, encoder, amount);
}

static void clear(struct encoder *encoder)
{
  buffer_free(&encoder->out);
  buffer_free(&encoder->keys);
  buffer_free(&encoder->raw);
}

static int on_gc(lua_State *L)
{
  clear(luaL_checkudata(L, 1, ENCODER));
  return 0;
}

static struct encoder *push_new(lua_State *L)
{
  struct encoder *encoder = box_push(L, sizeof *encoder, ENCODER, on_gc, NULL);
  return encoder;
}

/* The registry's encoder is taken out while it works: allocating runs finalizers, and one that
 * encodes makes an encoder of its own. An error drops it. */
static struct encoder *take_encoder(lua_State *L, const struct json_form *form)
{
  struct encoder *encoder;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &encoder_key) == LUA_TUSERDATA) {
    encoder = lua_touserdata(L, -1);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &encoder_key);
  } else {
    lua_pop(L, 1);
    encoder = push_new(L);
  }
  encoder->indent = form->indent;
  encoder->escape = form->escape;
  *encoder->place = '\0';
  return encoder;
}

static void give_back(lua_State *L, int index, struct encoder *encoder)
{
  clear(encoder);
  lua_pushvalue(L, index);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &encoder_key);
}

bool json_encode_as(lua_State *L, int index, const struct json_form *form)
{
  luaL_checkstack(L, 10, NULL);
  index = lua_absindex(L, index);
  struct encoder *encoder = take_encoder(L, form);
  struct place top = {0};
  lua_pushvalue(L, index);
  add_value(L, encoder, &top);
  lua_pop(L, 1);
  lua_pushlstring(L, encoder->out.data, encoder->out.size);
  bool escaped = *encoder->place;
  if (escaped) lua_pushstring(L, encoder->place);
  give_back(L, escaped ? -3 : -2, encoder);
  lua_remove(L, escaped ? -3 : -2);
  return escaped;
}

void json_encode(lua_State *L, int index)
{
  json_encode_as(L, index, &(const struct json_form){0});
}
