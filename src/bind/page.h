/* What is told of a list: which page it is, of how many records, out of how many, and whether there is more. */
#ifndef PROXYLUA_BIND_PAGE_H
#define PROXYLUA_BIND_PAGE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* Negative: not known. */
struct page {
  int64_t page, limit, total, pages;
  int has_more;
};

/* Reads what the server told: meta or pagination of the document or of its data (absolute stack indices), or one of these
 * two itself. */
void page_read(lua_State *L, int document, int data, struct page *page);

/* Whether there are more pages after one of `count` records, when `limit` were asked for and the server may have its own idea of
 * that. Without a word from the server, a page with as many as the API's default of 20 may be followed by another. Negative: not
 * known. */
int page_has_more(const struct page *page, int64_t count, int64_t limit);

/* Sets page, limit and total in the list at an absolute index, those that are known. */
void page_set(lua_State *L, const struct page *page, int list);

#endif
