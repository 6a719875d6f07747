#include "bind/page.h"

#include "bind/fields.h"
#include "bind/unwrap.h"

#define DEFAULT_LIMIT 20 /* records a page, of the API */

static int64_t page_number(lua_State *L, const struct fields *fields, int table, const char *name)
{
  fields_get(L, fields, table, record_field_find(RECORD_PAGE, name));
  int64_t number = lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 0 ? lua_tointeger(L, -1) : -1;
  lua_pop(L, 1);
  return number;
}

/* Reads what a table tells; false when it tells nothing. */
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
  return page->page >= 0 || page->limit >= 0 || page->total >= 0 || page->pages >= 0 || page->has_more >= 0;
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
