#include "bind/record/record.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "base/datetime.h"
#include "bind/error.h"
#include "bind/json.h"
#include "bind/money.h"
#include "bind/record/normalize.h"
#include "bind/record/unwrap.h"

/* What is to become of an answer. Indices are of the Lua stack. */
struct answer {
  const struct endpoint *endpoint; /* NULL: any value, passed on */
  enum record_kind kind;
  bool list;
  int64_t page, limit; /* asked for; 0: not known */
  const char *body;
  size_t size;
  bool mended; /* see struct fields */
  int document, data;
};

static const char *describe(lua_State *L, int index)
{
  if (unwrap_has_list(L, index)) return "a list";
  switch (lua_type(L, index)) {
    case LUA_TNIL:
      return "nothing";
    case LUA_TTABLE:
      return "an object";
    case LUA_TSTRING:
      return "a text";
    case LUA_TNUMBER:
      return "a number";
    default:
      return lua_toboolean(L, index) ? "true" : "false";
  }
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

/* The server's own error, of a body that says so in spite of its status; the document is at an
 * index. */
static int refused(lua_State *L, const struct answer *answer, int document)
{
  struct error err;
  fill_error(answer, &err);
  if (err.charge == CHARGE_MADE) err.charge = CHARGE_UNKNOWN;
  error_set(&err, ERROR_UPSTREAM, "the API reported an error");
  record_error_document(L, document, &err);
  return error_raise_with(L, &err, -1);
}

/* References may be anything; all other kinds are records. One that cannot be used keeps its place,
 * and says why. */
static void convert_items(lua_State *L, const struct answer *answer, int list)
{
  if (record_fields(answer->kind)->name == NULL) return;
  struct fields fields;
  int base = lua_gettop(L);
  fields_begin(L, &fields, answer->kind);
  fields.mended = answer->mended;
  for (lua_Integer i = 1; lua_rawgeti(L, list, i) != LUA_TNIL; i++) {
    if (!unwrap_has_object(L, -1))
      not_promised(L, answer,
                   lua_pushfstring(L, "one in which item %I is %s", (LUAI_UACINT)i,
                                   describe(L, -1)));
    int record = lua_gettop(L);
    if (!fields_convert(L, &fields, record)) {
      lua_pushliteral(L, "unreadable");
      lua_insert(L, -2);
      lua_rawset(L, record);
    }
    lua_settop(L, record - 1);
  }
  lua_settop(L, base);
}

static void set_page(lua_State *L, const struct answer *answer, int list)
{
  struct page page;
  page_read(L, answer->document, answer->data, &page);
  int64_t count = (int64_t)lua_rawlen(L, list);
  bool whole = answer->list && !answer->endpoint->paged;
  if (page.page < 0 && (whole || answer->page > 0)) page.page = whole ? 1 : answer->page;
  if (page.total < 0 && whole) page.total = count;
  int more = page_has_more(&page, count, answer->limit);
  if (page.limit < 0 && answer->limit > 0) page.limit = answer->limit;
  page_set(L, &page, list);
  if (more < 0 && !answer->list) return;
  lua_pushliteral(L, "has_more");
  lua_pushboolean(L, more > 0);
  lua_rawset(L, list);
}

/* Pushes the list of a document. {"orders": null} is an empty one; to see that, the body is decoded
 * once more, with its nulls. */
static bool push_list(lua_State *L, const struct answer *answer)
{
  if (unwrap_list(L, answer->data, answer->kind)) return true;
  struct json_body nulls = {.keeps_null = true};
  int base = lua_gettop(L);
  bool empty = false;
  if (unwrap_has_object(L, answer->data) && json_try_body(L, answer->body, answer->size, &nulls)) {
    unwrap_data(L, base + 1, answer->kind);
    empty = unwrap_has_null_list(L, base + 2, answer->kind);
  }
  lua_settop(L, base);
  if (empty) lua_newtable(L);
  return empty;
}

static int finish_list(lua_State *L, const struct answer *answer)
{
  if (!push_list(L, answer)) {
    if (answer->kind != RECORD_REFERENCE) return not_promised(L, answer, describe(L, answer->data));
    lua_pushvalue(L, answer->data);
    return 1;
  }
  int list = lua_gettop(L);
  convert_items(L, answer, list);
  set_page(L, answer, list);
  json_mark_list(L);
  return 1;
}

static int finish_record(lua_State *L, const struct answer *answer)
{
  if (!unwrap_record(L, answer->data, answer->kind))
    return not_promised(L, answer, describe(L, answer->data));
  struct fields fields;
  int record = lua_gettop(L);
  fields_begin(L, &fields, answer->kind);
  fields.mended = answer->mended;
  bool charges = answer->endpoint->kind == ENDPOINT_CHARGE; /* has been judged already */
  if (!fields_convert(L, &fields, record) && !charges)
    not_promised(L, answer, lua_pushfstring(L, "one whose %s", lua_tostring(L, -1)));
  lua_settop(L, record);
  return 1;
}

static int finish_any(lua_State *L, const struct answer *answer)
{
  lua_pushvalue(L, answer->data);
  if (!unwrap_has_list(L, -1)) return 1;
  set_page(L, answer, lua_gettop(L));
  json_mark_list(L);
  return 1;
}

static int finish(lua_State *L, struct answer *answer)
{
  luaL_checkstack(L, 16, NULL);
  unwrap_data(L, answer->document, answer->kind);
  answer->data = lua_gettop(L);
  if (unwrap_is_failure(L, answer->data, answer->kind, answer->list))
    return refused(L, answer, answer->data);
  if (answer->list) return finish_list(L, answer);
  return answer->kind == RECORD_NONE ? finish_any(L, answer) : finish_record(L, answer);
}

int record_answer_page(lua_State *L, const char *body, size_t size, const struct endpoint *endpoint,
                       int64_t page, int64_t limit)
{
  struct answer answer = {.endpoint = endpoint,
                          .page = page,
                          .limit = limit,
                          .body = body,
                          .size = size};
  struct json_body read = {0};
  if (endpoint) {
    answer.kind = endpoint->record;
    answer.list = endpoint->list;
  }
  int base = lua_gettop(L);
  if (!json_try_body(L, body, size, &read)) {
    const char *why =
        size > 0 ? lua_pushfstring(L, "what is not JSON: %s", lua_tostring(L, -1)) : "nothing";
    return not_promised(L, &answer, why);
  }
  answer.document = lua_gettop(L);
  answer.mended = read.mended;
  if (unwrap_is_failure(L, answer.document, answer.kind, answer.list))
    return refused(L, &answer, answer.document);
  finish(L, &answer);
  lua_replace(L, base + 1);
  lua_settop(L, base + 1);
  return 1;
}

int record_answer(lua_State *L, const char *body, size_t size, const struct endpoint *endpoint)
{
  return record_answer_page(L, body, size, endpoint, 0, 0);
}

struct wanted {
  const char *body;
  size_t size;
  enum record_kind kind;
  const char *field;
  struct buffer *text;
  bool found;
};

/* The text of the value on top. */
static bool add_text(lua_State *L, struct buffer *text)
{
  char amount[MONEY_TEXT];
  size_t size;
  const money *value = money_test(L, -1);
  if (value) return buffer_add(text, amount, money_format(*value, amount));
  if (!lua_isstring(L, -1)) return false;
  const char *string = lua_tolstring(L, -1, &size);
  return buffer_add(text, string, size);
}

static int read_field(lua_State *L)
{
  struct wanted *wanted = lua_touserdata(L, 1);
  struct fields fields;
  struct json_body body = {0};
  int position = record_field_find(wanted->kind, wanted->field);
  if (position < 0 || !json_try_body(L, wanted->body, wanted->size, &body)) return 0;
  int document = lua_gettop(L);
  if (unwrap_is_failure(L, document, wanted->kind, false)) return 0;
  unwrap_data(L, document, wanted->kind);
  if (unwrap_is_failure(L, document + 1, wanted->kind, false)) return 0;
  if (!unwrap_record(L, document + 1, wanted->kind)) return 0;
  int record = lua_gettop(L);
  fields_begin(L, &fields, wanted->kind);
  fields.mended = body.mended;
  fields_get(L, &fields, record, position);
  wanted->found = add_text(L, wanted->text);
  return 0;
}

bool record_field_text(lua_State *L, const char *body, size_t size, enum record_kind kind,
                       const char *field, struct buffer *text)
{
  struct wanted wanted = {.body = body, .size = size, .kind = kind, .field = field, .text = text};
  if (!lua_checkstack(L, 4)) return false;
  lua_pushcfunction(L, read_field);
  lua_pushlightuserdata(L, &wanted);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return wanted.found;
  lua_pop(L, 1);
  return false;
}

struct reading {
  const char *body;
  size_t size;
  const struct record_query *query;
  bool (*visit)(void *arg, const char *const *texts);
  void *arg;
  struct record_listing listing;
  bool done;
};

#define MOST_FIELDS 16

/* Visits the record on top with the texts of its fields, which stay on the stack meanwhile. */
static bool visit_record(lua_State *L, const struct reading *reading, const struct fields *fields)
{
  const char *texts[MOST_FIELDS] = {NULL};
  char amounts[MOST_FIELDS][MONEY_TEXT];
  int record = lua_gettop(L);
  for (int i = 0; i < MOST_FIELDS && reading->query->fields[i]; i++) {
    fields_get(L, fields, record,
               record_field_find(reading->query->kind, reading->query->fields[i]));
    const money *amount = money_test(L, -1);
    if (amount) money_format(*amount, amounts[i]);
    texts[i] = amount ? amounts[i] : lua_tostring(L, -1);
  }
  return reading->visit(reading->arg, texts);
}

static int read_list(lua_State *L)
{
  struct reading *reading = lua_touserdata(L, 1);
  const struct record_query *query = reading->query;
  struct fields fields;
  struct page page;
  struct json_body body = {0};
  if (!json_try_body(L, reading->body, reading->size, &body)) return 0;
  int document = lua_gettop(L);
  if (unwrap_is_failure(L, document, query->kind, true)) return 0;
  unwrap_data(L, document, query->kind);
  const struct answer answer = {.kind = query->kind,
                                .list = true,
                                .body = reading->body,
                                .size = reading->size,
                                .document = document,
                                .data = document + 1};
  if (unwrap_is_failure(L, document + 1, query->kind, true) || !push_list(L, &answer)) return 0;
  int list = lua_gettop(L);
  page_read(L, document, document + 1, &page);
  if (page.page < 0) page.page = query->page;
  int64_t count = (int64_t)lua_rawlen(L, list);
  reading->listing.more = page_has_more(&page, count, query->limit) != 0;
  reading->listing.total =
      page.total < 0 && page.pages >= 0 && page.limit > 0 ? page.pages * page.limit : page.total;
  fields_begin(L, &fields, query->kind);
  int base = lua_gettop(L);
  luaL_checkstack(L, MOST_FIELDS + 8, NULL);
  for (lua_Integer i = 1; lua_rawgeti(L, list, i) != LUA_TNIL; i++) {
    if (!unwrap_has_object(L, base + 1) || !visit_record(L, reading, &fields)) return 0;
    lua_settop(L, base);
  }
  reading->done = true;
  return 0;
}

bool record_list_texts(lua_State *L, const char *body, size_t size,
                       const struct record_query *query, struct record_listing *listing,
                       bool (*visit)(void *arg, const char *const *texts), void *arg)
{
  struct reading reading = {.body = body,
                            .size = size,
                            .query = query,
                            .visit = visit,
                            .arg = arg,
                            .listing = {.total = -1}};
  if (!lua_checkstack(L, 4)) return false;
  lua_pushcfunction(L, read_list);
  lua_pushlightuserdata(L, &reading);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  *listing = reading.listing;
  return reading.done;
}

static int read_refusal(lua_State *L)
{
  struct wanted *wanted = lua_touserdata(L, 1);
  struct fields fields;
  struct json_body body = {0};
  if (!json_try_body(L, wanted->body, wanted->size, &body)) return 0;
  int document = lua_gettop(L);
  if (!unwrap_has_object(L, document)) return 0;
  lua_getfield(L, document, "success");
  wanted->found = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
  lua_getfield(L, document, "error");
  if (wanted->found || lua_isnil(L, -1)) return 0;
  fields_begin(L, &fields, RECORD_ORDER);
  wanted->found =
      fields_get(L, &fields, document, record_field_find(RECORD_ORDER, "id")) == LUA_TNIL;
  return 0;
}

bool record_is_refusal(lua_State *L, const char *body, size_t size)
{
  struct wanted wanted = {.body = body, .size = size};
  if (!lua_checkstack(L, 4)) return false;
  lua_pushcfunction(L, read_refusal);
  lua_pushlightuserdata(L, &wanted);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return wanted.found;
  lua_pop(L, 1);
  return false;
}

/* answer(text, endpoint's name or nil [, page, limit]) */
static int answer_of(lua_State *L)
{
  size_t size;
  const char *body = luaL_checklstring(L, 1, &size), *name = luaL_optstring(L, 2, NULL);
  const struct endpoint *endpoint = name ? endpoint_find(name) : NULL;
  if (name && !endpoint) return error_usage(L, "there is no endpoint %s", name);
  return record_answer_page(L, body, size, endpoint, luaL_optinteger(L, 3, 0),
                            luaL_optinteger(L, 4, 0));
}

/* failure(text, status) -> what record_error makes of it, as an error value */
static int failure_of(lua_State *L)
{
  size_t size;
  const char *body = luaL_checklstring(L, 1, &size);
  struct error err = ERROR_INIT;
  err.status = (int)luaL_checkinteger(L, 2);
  error_set(&err, ERROR_INVALID, "refused");
  record_error(L, body, size, &err);
  error_push(L, &err);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "details");
  return 1;
}

/* field(text, kind, name) -> its text, or nil */
static int field_of(lua_State *L)
{
  size_t size;
  const char *body = luaL_checklstring(L, 1, &size), *kind = luaL_checkstring(L, 2),
             *name = luaL_checkstring(L, 3);
  int found = RECORD_NONE;
  while (found < RECORD_KIND_COUNT && strcmp(record_kind_name((enum record_kind)found), kind) != 0)
    found++;
  if (found == RECORD_KIND_COUNT) return error_usage(L, "there is no kind of record %s", kind);
  struct buffer text = {0};
  bool has = record_field_text(L, body, size, (enum record_kind)found, name, &text);
  lua_pushlstring(L, text.data ? text.data : "", text.size);
  buffer_free(&text);
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
  fields_open(L);
  luaL_newlib(L, functions);
}
