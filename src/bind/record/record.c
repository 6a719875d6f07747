#include "bind/record/record.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "api/record_read.h"
#include "api/response.h"
#include "api/unwrap.h"
#include "base/datetime.h"
#include "bind/error.h"
#include "bind/json.h"
#include "bind/money.h"
#include "bind/record/push.h"

#define DOCUMENT "proxylua.json_document"
#define MAX_TEXT 4096 /* bytes of a field that Lua asks for */

/* What is to become of a response. */
struct answer {
  const struct endpoint *endpoint; /* NULL: any value, passed on */
  enum record_kind kind;
  bool list;
  int64_t page, limit; /* asked for; 0: not known */
  const struct json_document *response;
  const struct json_value *data;
};

static int close_document(lua_State *L)
{
  json_free(luaL_checkudata(L, 1, DOCUMENT));
  return 0;
}

struct json_document *record_push_document(lua_State *L)
{
  struct json_document *document = lua_newuserdatauv(L, sizeof *document, 0);
  *document = (struct json_document){0};
  if (luaL_newmetatable(L, DOCUMENT)) {
    lua_pushcfunction(L, close_document);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return document;
}

static const char *describe(const struct json_value *value)
{
  switch (value ? value->type : JSON_NULL) {
    case JSON_NULL:
      return "nothing";
    case JSON_FALSE:
      return "false";
    case JSON_TRUE:
      return "true";
    case JSON_NUMBER:
      return "a number";
    case JSON_STRING:
      return "a text";
    case JSON_LIST:
      return "a list";
    case JSON_OBJECT:
      return "an object";
  }
  return "";
}

static void fill_error(const struct answer *answer, struct error *err)
{
  *err = ERROR_INIT;
  if (!answer->endpoint) return;
  err->endpoint = answer->endpoint->name;
  if (answer->endpoint->kind == ENDPOINT_CHARGE) err->charge = CHARGE_MADE;
}

static int not_promised(lua_State *L, const struct answer *answer, const char *came)
{
  struct error err;
  fill_error(answer, &err);
  const char *several = record_list_name(answer->kind), *one = record_kind_name(answer->kind);
  error_set(&err, ERROR_PROTOCOL,
            "expected %s %s, and the server sent %s; check that the base URL is the API's",
            answer->list            ? "a list of"
            : strchr("aeiou", *one) ? "an"
                                    : "a",
            answer->list ? several : one, came);
  return error_raise(L, &err);
}

/* The server's own error, of a body that says so in spite of its status. */
static int refused(lua_State *L, const struct answer *answer, const struct json_value *document)
{
  struct error err;
  fill_error(answer, &err);
  if (err.charge == CHARGE_MADE) err.charge = CHARGE_UNKNOWN;
  error_set(&err, ERROR_UPSTREAM, "the API reported an error");
  push_json(L, response_error_document(document, &err));
  return error_raise_with(L, &err, lua_gettop(L));
}

/* Pushes the list of records. One that cannot be used keeps its place, and says why. */
static void push_records(lua_State *L, const struct answer *answer, const struct json_value *list)
{
  lua_Integer position = 0;
  money_push_metatable(L);
  int metatable = lua_gettop(L);
  lua_createtable(L, list->count < 1 << 20 ? (int)list->count : 1 << 20, 4);
  for (const struct json_value *item = list->first; item; item = item->next) {
    position++;
    if (item->type != JSON_OBJECT)
      not_promised(L, answer,
                   lua_pushfstring(L, "one in which item %I is %s", (LUAI_UACINT)position,
                                   item->type == JSON_NULL ? "null" : describe(item)));
    if (push_record(L, item, answer->kind, answer->response->mended, metatable))
      lua_setfield(L, -2, "unreadable");
    lua_rawseti(L, -2, position);
  }
  lua_remove(L, metatable);
}

static void set_number(lua_State *L, int list, const char *name, int64_t value)
{
  if (value < 0) return;
  lua_pushinteger(L, value);
  lua_setfield(L, list, name);
}

/* Sets the properties of the list on top, which has no metatable yet, and marks it as one. */
static int finish_list(lua_State *L, const struct answer *answer)
{
  int list = lua_gettop(L);
  struct page page = unwrap_page(answer->response->root, answer->data);
  int64_t count = (int64_t)lua_rawlen(L, list);
  bool whole = answer->list && !answer->endpoint->paged;
  if (page.page < 0 && (whole || answer->page > 0)) page.page = whole ? 1 : answer->page;
  if (page.total < 0 && whole) page.total = count;
  int more = page_has_more(&page, count, answer->limit);
  if (page.limit < 0 && answer->limit > 0) page.limit = answer->limit;
  set_number(L, list, "page", page.page);
  set_number(L, list, "limit", page.limit);
  set_number(L, list, "total", page.total);
  if (more >= 0 || answer->list) {
    lua_pushboolean(L, more > 0);
    lua_setfield(L, list, "has_more");
  }
  json_mark_list(L);
  return 1;
}

/* References may be anything; all other kinds are records. */
static int push_list(lua_State *L, const struct answer *answer)
{
  const struct json_value *list = unwrap_list(answer->data, answer->kind);
  bool any = answer->kind == RECORD_REFERENCE;
  if (!list && !any) return not_promised(L, answer, describe(answer->data));
  if (list && record_fields(answer->kind)->name)
    push_records(L, answer, list);
  else
    push_json(L, list ? list : answer->data);
  return list ? finish_list(L, answer) : 1;
}

static int push_one(lua_State *L, const struct answer *answer)
{
  const struct json_value *record = unwrap_record(answer->data, answer->kind);
  if (!record) return not_promised(L, answer, describe(answer->data));
  bool charges = answer->endpoint->kind == ENDPOINT_CHARGE; /* has been judged already */
  money_push_metatable(L);
  const char *fault = push_record(L, record, answer->kind, answer->response->mended, lua_gettop(L));
  if (fault && !charges) not_promised(L, answer, lua_pushfstring(L, "one whose %s", fault));
  if (fault) lua_pop(L, 1);
  return 1;
}

static int push_any(lua_State *L, const struct answer *answer)
{
  push_json(L, answer->data);
  return answer->data && answer->data->type == JSON_LIST ? finish_list(L, answer) : 1;
}

int record_answer(lua_State *L, const struct json_document *response,
                  const struct endpoint *endpoint, int64_t page, int64_t limit)
{
  struct answer answer = {.endpoint = endpoint, .page = page, .limit = limit, .response = response};
  luaL_checkstack(L, 16, NULL);
  if (endpoint) {
    answer.kind = endpoint->record;
    answer.list = endpoint->list;
  }
  if (!response->root)
    return not_promised(L, &answer,
                        *response->why ? lua_pushfstring(L, "what is not JSON: %s", response->why)
                                       : "nothing");
  if (unwrap_is_failure(response->root, answer.kind, answer.list))
    return refused(L, &answer, response->root);
  answer.data = unwrap_data(response->root, answer.kind);
  if (unwrap_is_failure(answer.data, answer.kind, answer.list))
    return refused(L, &answer, answer.data);
  if (answer.list) return push_list(L, &answer);
  return answer.kind == RECORD_NONE ? push_any(L, &answer) : push_one(L, &answer);
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
static int answer_of(lua_State *L)
{
  const char *name = luaL_optstring(L, 2, NULL);
  int64_t page = luaL_optinteger(L, 3, 0), limit = luaL_optinteger(L, 4, 0);
  const struct endpoint *endpoint = name ? endpoint_find(name) : NULL;
  if (name && !endpoint) return error_usage(L, "there is no endpoint %s", name);
  return record_answer(L, check_document(L), endpoint, page, limit);
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
  static const luaL_Reg functions[] = {{"answer", answer_of},     {"date", date_of},
                                       {"duration", duration_of}, {"failure", failure_of},
                                       {"field", field_of},       {NULL, NULL}};
  luaL_newlib(L, functions);
}
