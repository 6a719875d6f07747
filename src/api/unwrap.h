/* The two dialects of the API's responses: an envelope, or the bare value. */
#ifndef PROXYLUA_API_UNWRAP_H
#define PROXYLUA_API_UNWRAP_H

#include <stdbool.h>
#include <stdint.h>

#include "api/record.h"
#include "base/json.h"

/* Whether a value is an error document: {"success": false, …}, or {"error": …} with neither data
 * nor, as the kind has it, a list or a field that marks a record. An error that is null, false or
 * empty does not count. */
bool unwrap_is_failure(const struct json_value *value, enum record_kind kind, bool list);

/* What the document is about: its data when it is an envelope, NULL when it is an empty one, or
 * itself. */
const struct json_value *unwrap_data(const struct json_value *document, enum record_kind kind);

/* The list that the data is or has; one that is null is an empty one. NULL when there is none. */
const struct json_value *unwrap_list(const struct json_value *data, enum record_kind kind);

/* The record that the data is or has ({"order": {…}}): an object, or the id of an order as a text
 * or a number. NULL when there is none. */
const struct json_value *unwrap_record(const struct json_value *data, enum record_kind kind);

/* Properties of a list: number and size of the page, number of all records and pages, whether more
 * follow. Negative: not known. */
struct page {
  int64_t page, limit, total, pages;
  int has_more;
};

/* Reads these properties: from `meta` or `pagination` in the document or its data, or from the
 * document or data itself. */
struct page unwrap_page(const struct json_value *document, const struct json_value *data);

/* Whether there are more pages after one of `count` records, when `limit` were asked for and the
 * server may have its own idea of that. Without a word from the server, a page with as many as the
 * API's default of 20 may be followed by another. Negative: not known. */
int page_has_more(const struct page *page, int64_t count, int64_t limit);

#endif
