#include <stdio.h>
#include <string.h>

#include "api/response.h"

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

static void begin_error(const struct endpoint *endpoint, struct error *err)
{
  *err = ERROR_INIT;
  if (!endpoint) return;
  err->endpoint = endpoint->name;
  if (endpoint->kind == ENDPOINT_CHARGE) err->charge = CHARGE_MADE;
}

void response_unexpected(const struct endpoint *endpoint, const char *came, struct error *err)
{
  enum record_kind kind = endpoint ? endpoint->record : RECORD_NONE;
  const char *one = record_kind_name(kind);
  bool list = endpoint && endpoint->list;
  begin_error(endpoint, err);
  error_set(err, ERROR_PROTOCOL,
            "expected %s %s, and the server sent %s; check that the base URL is the API's",
            list                    ? "a list of"
            : strchr("aeiou", *one) ? "an"
                                    : "a",
            list ? record_list_name(kind) : one, came);
}

static bool unexpected(const struct endpoint *endpoint, const struct json_value *came,
                       struct error *err)
{
  response_unexpected(endpoint, describe(came), err);
  return false;
}

/* The server's own error, of a body that says so in spite of its status. */
static bool is_failure(const struct json_value *value, const struct endpoint *endpoint,
                       struct response_content *content, struct error *err)
{
  if (!unwrap_is_failure(value, content->kind, endpoint && endpoint->list)) return false;
  begin_error(endpoint, err);
  if (err->charge == CHARGE_MADE) err->charge = CHARGE_UNKNOWN;
  error_set(err, ERROR_UPSTREAM, "the API reported an error");
  content->details = response_error_document(value, err);
  return true;
}

static bool has_objects_only(const struct json_value *list, const struct endpoint *endpoint,
                             struct error *err)
{
  char came[80];
  size_t position = 0;
  for (const struct json_value *item = list->first; item; item = item->next) {
    position++;
    if (item->type == JSON_OBJECT) continue;
    snprintf(came, sizeof came, "one in which item %zu is %s", position,
             item->type == JSON_NULL ? "null" : describe(item));
    response_unexpected(endpoint, came, err);
    return false;
  }
  return true;
}

/* The properties of the list as far as the server reports them, completed by what was asked for. */
static void read_page(const struct json_value *document, const struct json_value *data,
                      const struct endpoint *endpoint, int64_t page, int64_t limit,
                      struct response_content *content)
{
  int64_t count = (int64_t)content->value->count;
  bool list = endpoint && endpoint->list, whole = list && !endpoint->paged;
  content->what = RESPONSE_LIST;
  content->page = unwrap_page(document, data);
  if (content->page.page < 0 && (whole || page > 0)) content->page.page = whole ? 1 : page;
  if (content->page.total < 0 && whole) content->page.total = count;
  int more = page_has_more(&content->page, count, limit);
  if (content->page.limit < 0 && limit > 0) content->page.limit = limit;
  content->page.has_more = more < 0 && list ? 0 : more;
}

/* References may be anything; all other kinds are records. */
static bool read_list(const struct json_value *document, const struct json_value *data,
                      const struct endpoint *endpoint, int64_t page, int64_t limit,
                      struct response_content *content, struct error *err)
{
  content->value = unwrap_list(data, content->kind);
  if (!content->value) {
    content->value = data;
    return content->kind == RECORD_REFERENCE || unexpected(endpoint, data, err);
  }
  read_page(document, data, endpoint, page, limit, content);
  return !record_fields(content->kind)->name || has_objects_only(content->value, endpoint, err);
}

bool response_read(const struct json_document *response, const struct endpoint *endpoint,
                   int64_t page, int64_t limit, struct response_content *content, struct error *err)
{
  char came[128];
  const struct json_value *document = response->root;
  *content = (struct response_content){.what = RESPONSE_ANY,
                                       .kind = endpoint ? endpoint->record : RECORD_NONE};
  if (!document) {
    snprintf(came, sizeof came, "what is not JSON: %s", response->why);
    response_unexpected(endpoint, *response->why ? came : "nothing", err);
    return false;
  }
  if (is_failure(document, endpoint, content, err)) return false;
  const struct json_value *data = unwrap_data(document, content->kind);
  if (is_failure(data, endpoint, content, err)) return false;
  if (endpoint && endpoint->list)
    return read_list(document, data, endpoint, page, limit, content, err);
  if (content->kind != RECORD_NONE) {
    content->what = RESPONSE_RECORD;
    content->value = unwrap_record(data, content->kind);
    return content->value || unexpected(endpoint, data, err);
  }
  content->value = data;
  if (data && data->type == JSON_LIST) read_page(document, data, endpoint, page, limit, content);
  return true;
}
