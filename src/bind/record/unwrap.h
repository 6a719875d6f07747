/* The two dialects of the API's responses: an envelope, or the bare value. Stack indices must be
 * absolute. */
#ifndef PROXYLUA_BIND_RECORD_UNWRAP_H
#define PROXYLUA_BIND_RECORD_UNWRAP_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/record.h"

/* Whether the value is a table that JSON would call a list, or an object. */
bool unwrap_has_list(lua_State *L, int index);
bool unwrap_has_object(lua_State *L, int index);

/* Whether a value is an error document: {"success": false, …}, or {"error": …} with neither data
 * nor, as the kind has it, a list or a field that marks a record. An error that is null, false or
 * empty does not count. */
bool unwrap_is_failure(lua_State *L, int value, enum record_kind kind, bool list);

/* Pushes what the document is about: its data when it is an envelope, nil when it is an empty one,
 * or itself. */
void unwrap_data(lua_State *L, int document, enum record_kind kind);

/* Pushes the list that the data is or has; one that is null is an empty one. Nothing and false when
 * there is none. */
bool unwrap_list(lua_State *L, int data, enum record_kind kind);

/* Whether the data is an object whose list is null: {"orders": null}. For data that was decoded
 * with its nulls. */
bool unwrap_has_null_list(lua_State *L, int data, enum record_kind kind);

/* Pushes the record that the data is or has ({"order": {…}}); of an order the id alone will do.
 * Nothing and false when there is none. */
bool unwrap_record(lua_State *L, int data, enum record_kind kind);

/* Properties of a list: number and size of the page, number of all records and pages, whether more
 * follow. Negative: not known. */
struct page {
  int64_t page, limit, total, pages;
  int has_more;
};

/* Reads these properties: from `meta` or `pagination` in the document or its data (absolute stack
 * indices), or from the document or data itself. */
void page_read(lua_State *L, int document, int data, struct page *page);

/* Whether there are more pages after one of `count` records, when `limit` were asked for and the
 * server may have its own idea of that. Without a word from the server, a page with as many as the
 * API's default of 20 may be followed by another. Negative: not known. */
int page_has_more(const struct page *page, int64_t count, int64_t limit);

/* Sets page, limit and total in the list at an absolute index, those that are known. */
void page_set(lua_State *L, const struct page *page, int list);

#endif
