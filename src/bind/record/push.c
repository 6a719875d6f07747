#include "bind/record/push.h"

#include <lauxlib.h>
#include <string.h>

#include "api/record_read.h"
#include "bind/json.h"
#include "bind/money.h"

#define MAX_ROOM ((size_t)1 << 20) /* made in advance, even if a response has more */

void push_table(lua_State *L, size_t items, size_t fields)
{
  lua_createtable(L, (int)(items < MAX_ROOM ? items : MAX_ROOM),
                  (int)(fields < MAX_ROOM ? fields : MAX_ROOM));
}

static void push_number(lua_State *L, const struct json_value *value)
{
  struct json_number number;
  if (!json_scan_number(value->text, &number) || number.type == JSON_DIGITS)
    lua_pushlstring(L, value->text, value->size);
  else if (number.type == JSON_INTEGER)
    lua_pushinteger(L, number.integer);
  else
    lua_pushnumber(L, number.value);
}

static void push_list(lua_State *L, const struct json_value *list)
{
  lua_Integer position = 0;
  push_table(L, list->count, 0);
  if (list->count == 0) json_mark_list(L);
  for (const struct json_value *item = list->first; item; item = item->next) {
    if (item->type == JSON_NULL)
      json_push_null_value(L);
    else
      push_json(L, item);
    lua_rawseti(L, -2, ++position);
  }
}

/* Sets a field of the table on top. */
static void set_field(lua_State *L, const struct json_value *field)
{
  lua_pushlstring(L, field->name, field->name_size);
  push_json(L, field);
  lua_rawset(L, -3);
}

void push_json(lua_State *L, const struct json_value *value)
{
  luaL_checkstack(L, 4, NULL);
  switch (value ? value->type : JSON_NULL) {
    case JSON_NULL:
      lua_pushnil(L);
      break;
    case JSON_FALSE:
    case JSON_TRUE:
      lua_pushboolean(L, value->type == JSON_TRUE);
      break;
    case JSON_NUMBER:
      push_number(L, value);
      break;
    case JSON_STRING:
      lua_pushlstring(L, value->text, value->size);
      break;
    case JSON_LIST:
      push_list(L, value);
      break;
    case JSON_OBJECT:
      push_table(L, 0, value->count);
      for (const struct json_value *field = value->first; field; field = field->next)
        set_field(L, field);
      break;
  }
}

static void push_value(lua_State *L, const struct record_value *value, int metatable)
{
  switch (value->type) {
    case VALUE_ABSENT:
      lua_pushnil(L);
      break;
    case VALUE_TEXT:
      lua_pushlstring(L, value->text, value->size);
      break;
    case VALUE_INTEGER:
      lua_pushinteger(L, value->integer);
      break;
    case VALUE_MONEY:
      money_push_with(L, value->amount, metatable);
      break;
    case VALUE_OTHER:
      push_json(L, value->json);
      break;
  }
}

struct pushing {
  lua_State *L;
  int metatable;
};

/* Sets a field of the table on top. */
static void set_canonical(void *arg, const char *name, size_t size,
                          const struct record_value *value)
{
  const struct pushing *pushing = arg;
  lua_pushlstring(pushing->L, name, size);
  push_value(pushing->L, value, pushing->metatable);
  lua_rawset(pushing->L, -3);
}

const char *push_record(lua_State *L, const struct json_value *record, enum record_kind kind,
                        bool mended, int metatable)
{
  struct pushing pushing = {.L = L, .metatable = metatable};
  const char *at_fault = NULL;
  luaL_checkstack(L, 8, NULL);
  push_table(L, 0, record->count + 2);
  const char *fault = record_visit(record, kind, mended, set_canonical, &pushing, &at_fault);
  return fault ? lua_pushfstring(L, "%s %s", at_fault, fault) : NULL;
}
