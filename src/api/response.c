#include "api/response.h"

#include <string.h>

#include "api/record_read.h"
#include "api/unwrap.h"

#define MAX_FIELDS 16 /* of a query */

/* The record or the list that a response is about; NULL when it is a failure or nothing. */
static const struct json_value *find_content(const struct json_document *response,
                                             enum record_kind kind, bool list)
{
  if (!response->root || unwrap_is_failure(response->root, kind, list)) return NULL;
  const struct json_value *data = unwrap_data(response->root, kind);
  if (unwrap_is_failure(data, kind, list)) return NULL;
  return list ? unwrap_list(data, kind) : unwrap_record(data, kind);
}

bool response_field(const struct json_document *response, enum record_kind kind, const char *field,
                    char *text, size_t capacity)
{
  struct record_value value;
  const struct json_value *record = find_content(response, kind, false);
  if (!record) return false;
  const char *found =
      record_text(record, kind, record_field_find(kind, field), response->mended, &value);
  if (!found || value.size >= capacity || memchr(found, '\0', value.size)) return false;
  memcpy(text, found, value.size + 1);
  return true;
}

static bool visit_record(const struct json_value *record, const struct record_query *query,
                         const int *positions, bool mended,
                         bool (*visit)(void *arg, const char *const *texts), void *arg)
{
  struct record_value values[MAX_FIELDS];
  const char *texts[MAX_FIELDS] = {NULL};
  for (int i = 0; i < MAX_FIELDS && query->fields[i]; i++)
    texts[i] = record_text(record, query->kind, positions[i], mended, &values[i]);
  return visit(arg, texts);
}

bool response_list(const struct json_document *response, const struct record_query *query,
                   struct record_listing *listing,
                   bool (*visit)(void *arg, const char *const *texts), void *arg)
{
  int positions[MAX_FIELDS];
  *listing = (struct record_listing){.total = -1};
  const struct json_value *list = find_content(response, query->kind, true);
  if (!list) return false;
  struct page page = unwrap_page(response->root, unwrap_data(response->root, query->kind));
  if (page.page < 0) page.page = query->page;
  listing->more = page_has_more(&page, (int64_t)list->count, query->limit) != 0;
  listing->total =
      page.total < 0 && page.pages >= 0 && page.limit > 0 ? page.pages * page.limit : page.total;
  for (int i = 0; i < MAX_FIELDS && query->fields[i]; i++)
    positions[i] = record_field_find(query->kind, query->fields[i]);
  for (const struct json_value *item = list->first; item; item = item->next)
    if (item->type != JSON_OBJECT ||
        !visit_record(item, query, positions, response->mended, visit, arg))
      return false;
  return true;
}

bool response_is_refusal(const struct json_document *response)
{
  struct record_value id;
  const struct json_value *document = response->root;
  if (!document || document->type != JSON_OBJECT) return false;
  const struct json_value *success = json_get(document, "success");
  if (success && success->type == JSON_FALSE) return true;
  if (!json_get(document, "error")) return false;
  record_read(document, RECORD_ORDER, record_field_find(RECORD_ORDER, "id"), response->mended, &id);
  return id.type == VALUE_ABSENT || id.fault;
}
