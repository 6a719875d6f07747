#include "bind/record/push.h"

#include <lauxlib.h>
#include <string.h>

#include "api/record_read.h"
#include "bind/json.h"
#include "bind/money.h"

#define MAX_FIELDS 16 /* of a kind of record */

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
  lua_createtable(L, list->count < 1 << 20 ? (int)list->count : 1 << 20, 0);
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

static void create_object(lua_State *L, size_t count)
{
  lua_createtable(L, 0, count < 1 << 20 ? (int)count : 1 << 20);
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
      create_object(L, value->count);
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

/* Whether a field is, or has the name of, one that the record has under its canonical name. */
static bool is_taken(const struct json_value *field, const struct json_value *const *taken,
                     int count)
{
  for (int i = 0; i < count; i++)
    if (taken[i] && taken[i]->name_size == field->name_size &&
        memcmp(taken[i]->name, field->name, field->name_size) == 0)
      return true;
  return false;
}

const char *push_record(lua_State *L, const struct json_value *record, enum record_kind kind,
                        bool mended, int metatable)
{
  const struct record_field *fields = record_fields(kind);
  const struct json_value *taken[MAX_FIELDS] = {NULL};
  const char *fault = NULL, *at_fault = NULL;
  int count = 0;
  luaL_checkstack(L, 8, NULL);
  create_object(L, record->count + 2);
  for (; fields[count].name; count++) {
    struct record_value value;
    record_read(record, kind, count, mended, &value);
    taken[count] = value.json;
    if (value.fault) {
      fault = value.fault;
      at_fault = fields[count].name;
    } else if (value.type != VALUE_ABSENT) {
      lua_pushstring(L, fields[count].name);
      push_value(L, &value, metatable);
      lua_rawset(L, -3);
    }
  }
  for (const struct json_value *field = record->first; field; field = field->next)
    if (!is_taken(field, taken, count)) set_field(L, field);
  if (!fault && !record_has_mark(record, kind)) {
    at_fault = *record_marks(kind);
    fault = "is missing";
  }
  if (fault) return lua_pushfstring(L, "%s %s", at_fault, fault);
  if (kind == RECORD_PROXY) record_complete_proxy(L, lua_gettop(L));
  return NULL;
}
