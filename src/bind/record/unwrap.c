#include "bind/record/unwrap.h"

#include <string.h>

#include "bind/json.h"
#include "bind/record/normalize.h"

/* Pushes table[name], raw, and returns its type. */
static int get(lua_State *L, int table, const char *name)
{
  lua_pushstring(L, name);
  return lua_rawget(L, table);
}

/* Whether table[name] is the boolean `wanted`. */
static bool says(lua_State *L, int table, const char *name, bool wanted)
{
  bool same = get(L, table, name) == LUA_TBOOLEAN && lua_toboolean(L, -1) == wanted;
  lua_pop(L, 1);
  return same;
}

bool unwrap_has_list(lua_State *L, int index)
{
  return lua_type(L, index) == LUA_TTABLE && (lua_rawlen(L, index) > 0 || json_is_list(L, index));
}

bool unwrap_has_object(lua_State *L, int index)
{
  return lua_type(L, index) == LUA_TTABLE && !unwrap_has_list(L, index);
}

/* Pushes the one value of a table that `test` accepts; nothing and false when there is none or
 * several. */
static bool push_only(lua_State *L, int table, bool (*test)(lua_State *L, int index))
{
  int found = 0, base = lua_gettop(L);
  lua_pushnil(L);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (test(L, -1) && found++ == 0) lua_copy(L, -1, base + 1);
    lua_pop(L, 1);
  }
  lua_settop(L, found == 1 ? base + 1 : base);
  return found == 1;
}

/* An object that stands for something else: one that says success, or whose only sensible part is
 * its data. */
static bool is_envelope(lua_State *L, int document, enum record_kind kind)
{
  if (!unwrap_has_object(L, document)) return false;
  int type = get(L, document, "data");
  lua_pop(L, 1);
  if (says(L, document, "success", true)) return type != LUA_TNIL;
  return type == LUA_TTABLE && kind != RECORD_NONE;
}

/* {"success": true} and, at most, meta: an answer without content. */
static bool is_empty_envelope(lua_State *L, int document)
{
  if (!unwrap_has_object(L, document) || !says(L, document, "success", true)) return false;
  int others = 0;
  for (lua_pushnil(L); lua_next(L, document); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    others += strcmp(name, "success") != 0 && strcmp(name, "meta") != 0;
  }
  return others == 0;
}

static bool has(lua_State *L, int table, const char *name)
{
  bool present = get(L, table, name) != LUA_TNIL;
  lua_pop(L, 1);
  return present;
}

static bool has_error(lua_State *L, int table)
{
  int type = get(L, table, "error");
  bool real = type == LUA_TBOOLEAN  ? lua_toboolean(L, -1)
              : type == LUA_TSTRING ? lua_rawlen(L, -1) > 0
                                    : type != LUA_TNIL;
  lua_pop(L, 1);
  return real;
}

/* Whether an object holds a field of the kind, under any of its names. */
static bool has_mark(lua_State *L, int table, enum record_kind kind)
{
  if (!*record_marks(kind)) return has(L, table, "id");
  for (const char *const *mark = record_marks(kind); *mark; mark++) {
    int position = record_field_find(kind, *mark);
    if (has(L, table, *mark)) return true;
    if (position < 0) continue;
    for (const char *const *alias = record_fields(kind)[position].aliases; *alias; alias++)
      if (has(L, table, *alias)) return true;
  }
  return false;
}

#define LIST_NAMES(kind)                               \
  {                                                    \
    record_list_name(kind), "items", "data", "results" \
  }
#define LIST_NAME_COUNT 4

static bool has_named_list(lua_State *L, int table, enum record_kind kind)
{
  const char *const names[LIST_NAME_COUNT] = LIST_NAMES(kind);
  for (size_t i = 0; i < LIST_NAME_COUNT; i++)
    if (has(L, table, names[i])) return true;
  return false;
}

bool unwrap_is_failure(lua_State *L, int value, enum record_kind kind, bool list)
{
  if (!unwrap_has_object(L, value)) return false;
  if (says(L, value, "success", false)) return true;
  return has_error(L, value) && !has(L, value, "data") &&
         !(list ? has_named_list(L, value, kind) : has_mark(L, value, kind));
}

void unwrap_data(lua_State *L, int document, enum record_kind kind)
{
  if (is_envelope(L, document, kind))
    get(L, document, "data");
  else if (is_empty_envelope(L, document))
    lua_pushnil(L);
  else
    lua_pushvalue(L, document);
}

static bool is_zero(lua_State *L, int table, const char *name)
{
  bool zero = get(L, table, name) == LUA_TNUMBER && lua_tonumber(L, -1) == 0;
  lua_pop(L, 1);
  return zero;
}

bool unwrap_list(lua_State *L, int data, enum record_kind kind)
{
  if (unwrap_has_list(L, data)) {
    lua_pushvalue(L, data);
    return true;
  }
  if (unwrap_has_object(L, data)) {
    const char *const names[LIST_NAME_COUNT] = LIST_NAMES(kind);
    for (size_t i = 0; i < LIST_NAME_COUNT; i++) {
      get(L, data, names[i]);
      if (unwrap_has_list(L, -1)) return true;
      lua_pop(L, 1);
    }
    if (push_only(L, data, unwrap_has_list)) return true;
    if (!is_zero(L, data, "total")) return false;
  } else if (!lua_isnil(L, data)) {
    return false;
  }
  lua_newtable(L);
  return true;
}

bool unwrap_has_null_list(lua_State *L, int data, enum record_kind kind)
{
  if (!unwrap_has_object(L, data)) return false;
  const char *const names[LIST_NAME_COUNT] = LIST_NAMES(kind);
  bool null = false;
  for (size_t i = 0; i < LIST_NAME_COUNT && !null; i++) {
    null = get(L, data, names[i]) == LUA_TLIGHTUSERDATA;
    lua_pop(L, 1);
  }
  return null;
}

static bool has_one_field(lua_State *L, int table)
{
  int count = 0;
  lua_pushnil(L);
  while (count < 2 && lua_next(L, table)) {
    lua_pop(L, 1);
    count++;
  }
  if (count == 2) lua_pop(L, 1);
  return count == 1;
}

bool unwrap_record(lua_State *L, int data, enum record_kind kind)
{
  if (kind == RECORD_ORDER && lua_isstring(L, data)) {
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, data);
    lua_setfield(L, -2, "id");
    return true;
  }
  if (!unwrap_has_object(L, data)) return false;
  if (!has_one_field(L, data) || !push_only(L, data, unwrap_has_object)) lua_pushvalue(L, data);
  return true;
}

#define DEFAULT_LIMIT 20 /* records a page, of the API */

static int64_t page_number(lua_State *L, const struct fields *fields, int table, const char *name)
{
  fields_get(L, fields, table, record_field_find(RECORD_PAGE, name));
  int64_t number = lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 0 ? lua_tointeger(L, -1) : -1;
  lua_pop(L, 1);
  return number;
}

/* Reads the properties in a table; false if it has none. */
static bool read_table(lua_State *L, const struct fields *fields, int table, struct page *page)
{
  if (!unwrap_has_object(L, table)) return false;
  page->page = page_number(L, fields, table, "page");
  page->limit = page_number(L, fields, table, "limit");
  page->total = page_number(L, fields, table, "total");
  page->pages = page_number(L, fields, table, "pages");
  int type = fields_get(L, fields, table, record_field_find(RECORD_PAGE, "has_more"));
  page->has_more = type == LUA_TBOOLEAN ? lua_toboolean(L, -1) : -1;
  lua_pop(L, 1);
  return page->page >= 0 || page->limit >= 0 || page->total >= 0 || page->pages >= 0 ||
         page->has_more >= 0;
}

void page_read(lua_State *L, int document, int data, struct page *page)
{
  static const char *const names[] = {"meta", "pagination"};
  const int holders[] = {document, data};
  struct fields fields;
  int base = lua_gettop(L);
  bool found = false;
  fields_begin(L, &fields, RECORD_PAGE);
  for (int i = 0; i < 4 && !found; i++) {
    if (!unwrap_has_object(L, holders[i / 2])) continue;
    lua_pushstring(L, names[i % 2]);
    lua_rawget(L, holders[i / 2]);
    found = read_table(L, &fields, lua_gettop(L), page);
    lua_pop(L, 1);
  }
  found = found || read_table(L, &fields, data, page) || read_table(L, &fields, document, page);
  if (!found) *page = (struct page){-1, -1, -1, -1, -1};
  lua_settop(L, base);
}

int page_has_more(const struct page *page, int64_t count, int64_t limit)
{
  if (page->has_more >= 0) return page->has_more;
  if (page->pages >= 0 && page->page > 0) return page->page < page->pages;
  if (page->total >= 0 && page->page > 0 && page->limit > 0)
    return page->page <= page->total / page->limit && page->page * page->limit < page->total;
  if (page->total >= 0) return count < page->total;
  if (page->limit > 0) return count >= page->limit;
  if (limit <= 0) return -1;
  return count >= (limit < DEFAULT_LIMIT ? limit : DEFAULT_LIMIT);
}

static void set_number(lua_State *L, int list, const char *name, int64_t value)
{
  if (value < 0) return;
  lua_pushstring(L, name);
  lua_pushinteger(L, value);
  lua_rawset(L, list);
}

void page_set(lua_State *L, const struct page *page, int list)
{
  set_number(L, list, "page", page->page);
  set_number(L, list, "limit", page->limit);
  set_number(L, list, "total", page->total);
}
