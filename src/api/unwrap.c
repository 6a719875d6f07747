#include "api/unwrap.h"

#include <string.h>

#include "api/record_read.h"

#define DEFAULT_LIMIT 20 /* records a page, of the API */

static const struct json_value empty_list = {.type = JSON_LIST};

static bool is_list(const struct json_value *value)
{
  return value && value->type == JSON_LIST;
}

static bool is_object(const struct json_value *value)
{
  return value && value->type == JSON_OBJECT;
}

static bool has(const struct json_value *object, const char *name)
{
  return json_get(object, name) != NULL;
}

/* Whether the field is true or false, as `type` says. */
static bool says(const struct json_value *object, const char *name, enum json_type type)
{
  const struct json_value *value = json_get(object, name);
  return value && value->type == type;
}

/* The one field that `test` accepts; NULL when there is none or several. */
static const struct json_value *find_only(const struct json_value *object,
                                          bool (*test)(const struct json_value *value))
{
  const struct json_value *found = NULL;
  for (const struct json_value *field = object->first; field; field = field->next) {
    if (!test(field)) continue;
    if (found) return NULL;
    found = field;
  }
  return found;
}

/* An object that stands for something else: one that says success, or whose only sensible part is
 * its data. */
static bool is_envelope(const struct json_value *document, enum record_kind kind)
{
  const struct json_value *data = json_get(document, "data");
  if (!data) return false;
  return says(document, "success", JSON_TRUE) ||
         ((is_object(data) || is_list(data)) && kind != RECORD_NONE);
}

/* {"success": true} and, at most, meta: an answer without content. */
static bool is_empty_envelope(const struct json_value *document)
{
  if (!says(document, "success", JSON_TRUE)) return false;
  for (const struct json_value *field = document->first; field; field = field->next)
    if (field->type != JSON_NULL && strcmp(field->name, "success") != 0 &&
        strcmp(field->name, "meta") != 0)
      return false;
  return true;
}

static bool has_error(const struct json_value *object)
{
  const struct json_value *error = json_get(object, "error");
  return error && error->type != JSON_FALSE && !(error->type == JSON_STRING && error->size == 0);
}

#define LIST_NAMES(kind)                               \
  {                                                    \
    record_list_name(kind), "items", "data", "results" \
  }
#define LIST_NAME_COUNT 4

static bool has_named_list(const struct json_value *object, enum record_kind kind)
{
  const char *const names[LIST_NAME_COUNT] = LIST_NAMES(kind);
  for (size_t i = 0; i < LIST_NAME_COUNT; i++)
    if (has(object, names[i])) return true;
  return false;
}

bool unwrap_is_failure(const struct json_value *value, enum record_kind kind, bool list)
{
  if (says(value, "success", JSON_FALSE)) return true;
  return has_error(value) && !has(value, "data") &&
         !(list                  ? has_named_list(value, kind)
           : *record_marks(kind) ? record_has_mark(value, kind)
                                 : has(value, "id"));
}

const struct json_value *unwrap_data(const struct json_value *document, enum record_kind kind)
{
  if (is_envelope(document, kind)) return json_get(document, "data");
  return is_empty_envelope(document) ? NULL : document;
}

static bool is_zero(const struct json_value *object, const char *name)
{
  struct json_number number;
  const struct json_value *value = json_get(object, name);
  return value && value->type == JSON_NUMBER && json_scan_number(value->text, &number) &&
         number.type == JSON_INTEGER && number.integer == 0;
}

const struct json_value *unwrap_list(const struct json_value *data, enum record_kind kind)
{
  const char *const names[LIST_NAME_COUNT] = LIST_NAMES(kind);
  if (!data || data->type == JSON_NULL) return &empty_list;
  if (is_list(data)) return data;
  if (!is_object(data)) return NULL;
  for (size_t i = 0; i < LIST_NAME_COUNT; i++) {
    const struct json_value *list = json_get(data, names[i]);
    if (is_list(list)) return list;
  }
  const struct json_value *only = find_only(data, is_list);
  if (only) return only;
  if (is_zero(data, "total")) return &empty_list;
  for (size_t i = 0; i < LIST_NAME_COUNT; i++) {
    const struct json_value *list = json_field(data, names[i]);
    if (list && list->type == JSON_NULL) return &empty_list;
  }
  return NULL;
}

static bool has_one_field(const struct json_value *object)
{
  int count = 0;
  for (const struct json_value *field = object->first; field; field = field->next)
    count += field->type != JSON_NULL;
  return count == 1;
}

const struct json_value *unwrap_record(const struct json_value *data, enum record_kind kind)
{
  if (!data) return NULL;
  if (kind == RECORD_ORDER && (data->type == JSON_STRING || data->type == JSON_NUMBER)) return data;
  if (!is_object(data)) return NULL;
  const struct json_value *only = has_one_field(data) ? find_only(data, is_object) : NULL;
  return only ? only : data;
}

static int64_t page_number(const struct json_value *object, const char *name)
{
  struct record_value value;
  record_read(object, RECORD_PAGE, record_field_find(RECORD_PAGE, name), false, &value);
  return value.type == VALUE_INTEGER && value.integer >= 0 ? value.integer : -1;
}

/* Reads the properties in an object; false if it has none. */
static bool read_page(const struct json_value *object, struct page *page)
{
  *page = (struct page){-1, -1, -1, -1, -1};
  if (!is_object(object)) return false;
  page->page = page_number(object, "page");
  page->limit = page_number(object, "limit");
  page->total = page_number(object, "total");
  page->pages = page_number(object, "pages");
  const struct record_field *fields = record_fields(RECORD_PAGE);
  const struct json_value *more =
      record_find(object, &fields[record_field_find(RECORD_PAGE, "has_more")]);
  if (more && (more->type == JSON_TRUE || more->type == JSON_FALSE))
    page->has_more = more->type == JSON_TRUE;
  return page->page >= 0 || page->limit >= 0 || page->total >= 0 || page->pages >= 0 ||
         page->has_more >= 0;
}

struct page unwrap_page(const struct json_value *document, const struct json_value *data)
{
  struct page page;
  if (!read_page(json_get(document, "meta"), &page) &&
      !read_page(json_get(document, "pagination"), &page) &&
      !read_page(json_get(data, "meta"), &page) &&
      !read_page(json_get(data, "pagination"), &page) && !read_page(data, &page))
    read_page(document, &page);
  return page;
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
