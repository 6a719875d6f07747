#include "bind/record/record.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "api/response.h"
#include "base/datetime.h"
#include "bind/box.h"
#include "bind/error.h"
#include "bind/json.h"
#include "bind/money.h"
#include "bind/push.h"
#include "bind/record/push.h"

#define DOCUMENT "proxylua.json_document"
#define MAX_TEXT 4096 /* bytes of a field that Lua asks for */

static int close_document(lua_State *L)
{
  json_free(luaL_checkudata(L, 1, DOCUMENT));
  return 0;
}

struct json_document *record_push_document(lua_State *L)
{
  struct json_document *document = box_push(L, sizeof *document, DOCUMENT, close_document, NULL);
  return document;
}

static void push_records(lua_State *L, const struct response_content *content, bool mended)
{
  lua_Integer position = 0;
  const struct json_value *list = content->value;
  money_push_metatable(L);
  int metatable = lua_gettop(L);
  push_table(L, list->count, 4);
  for (const struct json_value *item = list->first; item; item = item->next) {
    if (push_record(L, item, content->kind, mended, metatable)) lua_setfield(L, -2, "unreadable");
    lua_rawseti(L, -2, ++position);
  }
  lua_remove(L, metatable);
}

static void set_known(lua_State *L, const char *name, int64_t value)
{
  if (value < 0) return;
  set_integer(L, name, value);
}

/* A record in the list that cannot be used keeps its place, and says why. */
static void push_list(lua_State *L, const struct response_content *content, bool mended)
{
  if (record_fields(content->kind)->name)
    push_records(L, content, mended);
  else
    push_json(L, content->value);
  set_known(L, "page", content->page.page);
  set_known(L, "limit", content->page.limit);
  set_known(L, "total", content->page.total);
  if (content->page.has_more >= 0) {
    set_flag(L, "has_more", content->page.has_more > 0);
  }
  json_mark_list(L);
}

static void push_one(lua_State *L, const struct response_content *content,
                     const struct endpoint *endpoint, bool mended)
{
  money_push_metatable(L);
  const char *fault = push_record(L, content->value, content->kind, mended, lua_gettop(L));
  if (!fault) return;
  if (endpoint->kind != ENDPOINT_CHARGE) { /* of which the charge has judged the response */
    struct error err;
    response_unexpected(endpoint, lua_pushfstring(L, "one whose %s", fault), &err);
    error_raise(L, &err);
  }
  lua_pop(L, 1);
}

int record_response(lua_State *L, const struct json_document *response,
                    const struct endpoint *endpoint, int64_t page, int64_t limit)
{
  struct response_content content;
  struct error err;
  luaL_checkstack(L, 16, NULL);
  if (!response_read(response, endpoint, page, limit, &content, &err)) {
    push_json(L, content.details);
    return error_raise_with(L, &err, lua_gettop(L));
  }
  if (content.what == RESPONSE_LIST)
    push_list(L, &content, response->mended);
  else if (content.what == RESPONSE_RECORD)
    push_one(L, &content, endpoint, response->mended);
  else
    push_json(L, content.value);
  return 1;
}

void record_error(lua_State *L, const struct json_document *response, const char *body, size_t size,
                  struct error *err)
{
  push_json(L, response_error(response, body, size, err));
}

/* Pushes the document of the text that is the first argument. */
static struct json_document *check_document(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  struct json_document *document = record_push_document(L);
  json_parse(document, text, size);
  return document;
}

/* answer(text, endpoint's name or nil [, page, limit]) */
static int response_of(lua_State *L)
{
  const char *name = luaL_optstring(L, 2, NULL);
  int64_t page = luaL_optinteger(L, 3, 0), limit = luaL_optinteger(L, 4, 0);
  const struct endpoint *endpoint = name ? endpoint_find(name) : NULL;
  if (name && !endpoint) return error_usage(L, "there is no endpoint %s", name);
  return record_response(L, check_document(L), endpoint, page, limit);
}

/* failure(text, status) -> what record_error makes of it, as an error value */
static int failure_of(lua_State *L)
{
  size_t size;
  const char *body = luaL_checklstring(L, 1, &size);
  struct error err = ERROR_INIT;
  err.status = (int)luaL_checkinteger(L, 2);
  error_set(&err, ERROR_INVALID, "refused");
  record_error(L, check_document(L), body, size, &err);
  error_push(L, &err);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "details");
  return 1;
}

/* field(text, kind, name) -> its text, or nil */
static int field_of(lua_State *L)
{
  const char *kind = luaL_checkstring(L, 2), *name = luaL_checkstring(L, 3);
  int found = RECORD_NONE;
  while (found < RECORD_KIND_COUNT && strcmp(record_kind_name((enum record_kind)found), kind) != 0)
    found++;
  if (found == RECORD_KIND_COUNT) return error_usage(L, "there is no kind of record %s", kind);
  if (record_field_find((enum record_kind)found, name) < 0) return 0;
  size_t size;
  luaL_Buffer text;
  const struct json_document *document = check_document(L);
  char *bytes = luaL_buffinitsize(L, &text, MAX_TEXT);
  bool has = response_field(document, (enum record_kind)found, name, bytes, MAX_TEXT);
  size = has ? strlen(bytes) : 0;
  luaL_pushresultsize(&text, size);
  if (!has) lua_pushnil(L);
  return 1;
}

/* Pushes what a parser reads in the text that is the first argument: seconds, an integer where
 * there is no fraction; nil for a text that it refuses. */
static int read_text(lua_State *L, bool (*parse)(const char *text, double *seconds))
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  double seconds;
  lua_Integer whole;
  if (strlen(text) != size || !parse(text, &seconds))
    lua_pushnil(L);
  else if (lua_numbertointeger(floor(seconds), &whole) && (double)whole == seconds)
    lua_pushinteger(L, whole);
  else
    lua_pushnumber(L, seconds);
  return 1;
}

/* date(text) -> seconds since 1970, or nil */
static int date_of(lua_State *L)
{
  return read_text(L, date_parse);
}

/* duration(text) -> seconds, or nil */
static int duration_of(lua_State *L)
{
  return read_text(L, duration_parse);
}

void record_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"answer", response_of},   {"date", date_of},
                                       {"duration", duration_of}, {"failure", failure_of},
                                       {"field", field_of},       {NULL, NULL}};
  luaL_newlib(L, functions);
}
