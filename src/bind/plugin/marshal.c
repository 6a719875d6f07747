#include "bind/plugin/marshal.h"

#include <lauxlib.h>
#include <stdint.h>
#include <string.h>

#include "bind/error.h"
#include "bind/json.h"
#include "bind/money.h"

enum tag { NIL, NO, YES, INTEGER, FLOAT, STRING, TABLE, LIST, ERROR, MONEY, JSON_NULL, END };

struct writer {
  lua_State *L;
  struct buffer *buffer;
  size_t values; /* left */
};

static const char no_memory[] = "not enough memory";

static bool put(struct writer *w, const void *bytes, size_t size)
{
  return buffer_add(w->buffer, bytes, size);
}

static bool put_tag(struct writer *w, enum tag tag)
{
  char byte = (char)tag;
  return put(w, &byte, 1);
}

/* Seven bits a byte, the lowest first. */
static bool put_number(struct writer *w, uint64_t number)
{
  unsigned char bytes[10];
  size_t size = 0;
  for (; number > 0x7F; number >>= 7) bytes[size++] = (unsigned char)(number | 0x80);
  bytes[size++] = (unsigned char)number;
  return put(w, bytes, size);
}

static bool put_integer(struct writer *w, enum tag tag, int64_t integer)
{
  return put_tag(w, tag) &&
         put_number(w, ((uint64_t)integer << 1) ^ (integer < 0 ? UINT64_MAX : 0));
}

static bool put_float(struct writer *w, double number)
{
  return put_tag(w, FLOAT) && put(w, &number, sizeof number);
}

static bool put_string(struct writer *w, int index)
{
  size_t size;
  const char *text = lua_tolstring(w->L, index, &size);
  return put_tag(w, STRING) && put_number(w, size) && put(w, text, size);
}

static const char *write_value(struct writer *w, int index, int depth);

/* Key and value on top of the stack. Those of the list are there already. */
static const char *write_field(struct writer *w, lua_Integer listed, int depth)
{
  int type = lua_type(w->L, -2), top = lua_gettop(w->L);
  if (type == LUA_TNUMBER && lua_isinteger(w->L, -2)) {
    lua_Integer key = lua_tointeger(w->L, -2);
    if (key >= 1 && key <= listed) return NULL;
  } else if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN) {
    return "a table with keys that are neither text, numbers nor booleans";
  }
  const char *why = write_value(w, top - 1, depth);
  return why ? why : write_value(w, top, depth);
}

/* Past metamethods. */
static const char *write_table(struct writer *w, int index, int depth)
{
  lua_State *L = w->L;
  if (depth >= VALUE_DEPTH) return "tables nested too deeply, or one that holds itself";
  if (!lua_checkstack(L, 4)) return no_memory;
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  enum tag tag = error_test(L, index) ? ERROR : json_is_list(L, index) ? LIST : TABLE;
  const char *why = put_tag(w, tag) && put_number(w, (uint64_t)count) ? NULL : no_memory;
  for (lua_Integer i = 1; i <= count && !why; i++) {
    lua_rawgeti(L, index, i);
    why = write_value(w, lua_gettop(L), depth + 1);
    lua_pop(L, 1);
  }
  if (why) return why;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    why = write_field(w, count, depth + 1);
    if (!why) continue;
    lua_pop(L, 2);
    return why;
  }
  return put_tag(w, END) ? NULL : no_memory;
}

static const char *write_value(struct writer *w, int index, int depth)
{
  lua_State *L = w->L;
  const money *amount;
  bool ok = false;
  if (w->values-- == 0) return "too many values";
  switch (lua_type(L, index)) {
    case LUA_TNIL:
      ok = put_tag(w, NIL);
      break;
    case LUA_TBOOLEAN:
      ok = put_tag(w, lua_toboolean(L, index) ? YES : NO);
      break;
    case LUA_TNUMBER:
      ok = lua_isinteger(L, index) ? put_integer(w, INTEGER, lua_tointeger(L, index))
                                   : put_float(w, lua_tonumber(L, index));
      break;
    case LUA_TSTRING:
      ok = put_string(w, index);
      break;
    case LUA_TTABLE:
      return write_table(w, index, depth);
    case LUA_TUSERDATA:
      if (json_is_null(L, index)) {
        ok = put_tag(w, JSON_NULL);
        break;
      }
      amount = money_test(L, index);
      if (!amount) return "an object";
      ok = put_integer(w, MONEY, *amount);
      break;
    case LUA_TFUNCTION:
      return "a function";
    default:
      return "an object";
  }
  return ok ? NULL : no_memory;
}

const char *value_write(lua_State *L, int first, int last, struct buffer *buffer)
{
  struct writer w = {L, buffer, VALUE_COUNT};
  const char *why = lua_checkstack(L, 8) ? NULL : no_memory;
  if (last - first >= VALUE_ARGUMENTS) why = "too many values";
  for (int i = first; i <= last && !why; i++) why = write_value(&w, i, 0);
  return why;
}

#define MAX_ROOM 1024 /* items of a list that are made room for before they are seen */

struct reader {
  lua_State *L;
  const char *at, *end;
  size_t values, odd_keys; /* left */
};

static bool take(struct reader *r, void *bytes, size_t size)
{
  if ((size_t)(r->end - r->at) < size) return false;
  memcpy(bytes, r->at, size);
  r->at += size;
  return true;
}

static bool take_number(struct reader *r, uint64_t *number)
{
  *number = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    unsigned char byte;
    if (!take(r, &byte, 1)) return false;
    *number |= (uint64_t)(byte & 0x7F) << shift;
    if (byte <= 0x7F) return true;
  }
  return false;
}

static bool take_integer(struct reader *r, int64_t *integer)
{
  uint64_t number;
  if (!take_number(r, &number)) return false;
  *integer = (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
  return true;
}

static bool read_integer(struct reader *r)
{
  int64_t integer;
  if (!take_integer(r, &integer)) return false;
  lua_pushinteger(r->L, integer);
  return true;
}

static bool read_float(struct reader *r)
{
  double number;
  if (!take(r, &number, sizeof number)) return false;
  lua_pushnumber(r->L, number);
  return true;
}

static bool read_string(struct reader *r)
{
  uint64_t size;
  if (!take_number(r, &size) || size > (size_t)(r->end - r->at)) return false;
  lua_pushlstring(r->L, r->at, (size_t)size);
  r->at += size;
  return true;
}

static bool read_money(struct reader *r)
{
  int64_t amount;
  if (!take_integer(r, &amount)) return false;
  money_push(r->L, amount);
  return true;
}

static bool read_value(struct reader *r, int depth);

/* Whether the value on top can be a key. */
static bool is_key(struct reader *r)
{
  switch (lua_type(r->L, -1)) {
    case LUA_TSTRING:
    case LUA_TBOOLEAN:
      return true;
    case LUA_TNUMBER:
      return r->odd_keys-- > 0 && lua_rawequal(r->L, -1, -1); /* NaN is not equal to itself */
    default:
      return false;
  }
}

static bool read_fields(struct reader *r, int depth)
{
  while (r->at < r->end && *r->at != END) {
    if (!read_value(r, depth) || !is_key(r) || !read_value(r, depth)) return false;
    lua_rawset(r->L, -3);
  }
  return r->at++ < r->end;
}

static bool read_table(struct reader *r, int depth)
{
  uint64_t count;
  if (depth >= VALUE_DEPTH || !take_number(r, &count) || count > r->values ||
      count > (size_t)(r->end - r->at))
    return false;
  luaL_checkstack(r->L, 6, NULL);
  lua_createtable(r->L, count < MAX_ROOM ? (int)count : MAX_ROOM, 0);
  for (uint64_t i = 1; i <= count; i++) {
    if (!read_value(r, depth + 1)) return false;
    lua_rawseti(r->L, -2, (lua_Integer)i);
  }
  return read_fields(r, depth + 1);
}

static bool read_value(struct reader *r, int depth)
{
  char tag;
  if (r->values == 0 || !take(r, &tag, 1)) return false;
  r->values--;
  switch ((enum tag)tag) {
    case NIL:
      lua_pushnil(r->L);
      return true;
    case NO:
    case YES:
      lua_pushboolean(r->L, tag == YES);
      return true;
    case INTEGER:
      return read_integer(r);
    case FLOAT:
      return read_float(r);
    case STRING:
      return read_string(r);
    case MONEY:
      return read_money(r);
    case JSON_NULL:
      json_push_null_value(r->L);
      return true;
    case TABLE:
      return read_table(r, depth);
    case LIST:
      if (!read_table(r, depth)) return false;
      json_mark_list(r->L);
      return true;
    case ERROR:
      if (!read_table(r, depth)) return false;
      error_mark(r->L);
      return true;
    case END:
      return false;
  }
  return false;
}

int value_read(lua_State *L, const char *bytes, size_t size, size_t *values)
{
  struct reader r = {L, bytes, bytes + size, VALUE_COUNT, VALUE_ODD_KEYS};
  int count = 0;
  for (; r.at < r.end; count++) {
    luaL_checkstack(L, 4, NULL);
    if (count == VALUE_ARGUMENTS || !read_value(&r, 0)) return -1;
  }
  if (values) *values = VALUE_COUNT - r.values;
  return count;
}
