#include "engine/result.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/record_read.h"

/* An object under way. */
struct writing {
  struct buffer *out;
  bool begun, failed;
};

static bool write_value(struct buffer *out, const struct json_value *value);

static bool write_list(struct buffer *out, const struct json_value *list)
{
  bool ok = buffer_add_text(out, "[");
  for (const struct json_value *item = list->first; item && ok; item = item->next)
    ok = (item == list->first || buffer_add_text(out, ",")) && write_value(out, item);
  return ok && buffer_add_text(out, "]");
}

static bool write_object(struct buffer *out, const struct json_value *object)
{
  bool ok = buffer_add_text(out, "{");
  for (const struct json_value *field = object->first; field && ok; field = field->next)
    ok = (field == object->first || buffer_add_text(out, ",")) &&
         buffer_add_json(out, field->name, field->name_size) && buffer_add_text(out, ":") &&
         write_value(out, field);
  return ok && buffer_add_text(out, "}");
}

static bool write_value(struct buffer *out, const struct json_value *value)
{
  switch (value ? value->type : JSON_NULL) {
    case JSON_NULL:
      return buffer_add_text(out, "null");
    case JSON_FALSE:
      return buffer_add_text(out, "false");
    case JSON_TRUE:
      return buffer_add_text(out, "true");
    case JSON_NUMBER:
      return buffer_add(out, value->text, value->size);
    case JSON_STRING:
      return buffer_add_json(out, value->text, value->size);
    case JSON_LIST:
      return write_list(out, value);
    case JSON_OBJECT:
      return write_object(out, value);
  }
  return false;
}

static bool write_money(struct buffer *out, money amount)
{
  char text[MONEY_TEXT];
  return buffer_add(out, text, money_format(amount, text));
}

static bool write_canonical(struct buffer *out, const struct record_value *value)
{
  switch (value->type) {
    case VALUE_TEXT:
      return buffer_add_json(out, value->text, value->size);
    case VALUE_INTEGER:
      return buffer_print(out, "%" PRId64, value->integer);
    case VALUE_MONEY:
      return write_money(out, value->amount);
    default:
      return write_value(out, value->json);
  }
}

/* Begins a field. */
static void add_name(struct writing *writing, const char *name, size_t size)
{
  writing->failed |= !buffer_add_text(writing->out, writing->begun ? "," : "{") ||
                     !buffer_add_json(writing->out, name, size) ||
                     !buffer_add_text(writing->out, ":");
  writing->begun = true;
}

static void add_field(void *arg, const char *name, size_t size, const struct record_value *value)
{
  struct writing *writing = arg;
  add_name(writing, name, size);
  writing->failed |= !write_canonical(writing->out, value);
}

static bool end_object(struct writing *writing)
{
  return !writing->failed && buffer_add_text(writing->out, writing->begun ? "}" : "{}");
}

static void add_text(struct writing *writing, const char *name, const char *text)
{
  if (!text) return;
  add_name(writing, name, strlen(name));
  writing->failed |= !buffer_add_json(writing->out, text, strlen(text));
}

static void add_number(struct writing *writing, const char *name, double number)
{
  add_name(writing, name, strlen(name));
  writing->failed |= !buffer_print(writing->out, "%.15g", number);
}

static void add_money(struct writing *writing, const char *name, money amount)
{
  add_name(writing, name, strlen(name));
  writing->failed |= !write_money(writing->out, amount);
}

static void add_flag(struct writing *writing, const char *name, bool flag)
{
  add_name(writing, name, strlen(name));
  writing->failed |= !buffer_add_text(writing->out, flag ? "true" : "false");
}

/* Writes a record. `fault` is what makes it unusable, or NULL. */
static bool write_record(struct buffer *out, const struct json_value *record, enum record_kind kind,
                         bool mended, const char **field, const char **fault)
{
  struct writing writing = {.out = out};
  *fault = record_visit(record, kind, mended, add_field, &writing, field);
  if (*fault) add_text(&writing, "unreadable", *fault);
  return end_object(&writing);
}

static bool write_records(struct buffer *out, const struct response_content *content, bool mended)
{
  const char *field, *fault;
  const struct json_value *list = content->value;
  if (!record_fields(content->kind)->name) return write_list(out, list);
  bool ok = buffer_add_text(out, "[");
  for (const struct json_value *item = list->first; item && ok; item = item->next)
    ok = (item == list->first || buffer_add_text(out, ",")) &&
         write_record(out, item, content->kind, mended, &field, &fault);
  return ok && buffer_add_text(out, "]");
}

static bool write_page(struct buffer *out, const struct response_content *content, bool mended)
{
  struct writing writing = {.out = out};
  add_name(&writing, "items", strlen("items"));
  if (writing.failed || !write_records(out, content, mended)) return false;
  if (content->page.page >= 0) add_number(&writing, "page", (double)content->page.page);
  if (content->page.limit >= 0) add_number(&writing, "limit", (double)content->page.limit);
  if (content->page.total >= 0) add_number(&writing, "total", (double)content->page.total);
  if (content->page.has_more >= 0) add_flag(&writing, "has_more", content->page.has_more > 0);
  return end_object(&writing);
}

bool result_write(const struct json_document *response, const struct endpoint *endpoint,
                  int64_t page, int64_t limit, struct buffer *out, struct error *err)
{
  struct response_content content;
  const char *field = "", *fault = NULL;
  char came[128];
  bool written = false;
  if (!response_read(response, endpoint, page, limit, &content, err)) return false;
  if (content.what == RESPONSE_LIST)
    written = write_page(out, &content, response->mended);
  else if (content.what == RESPONSE_RECORD)
    written = write_record(out, content.value, content.kind, response->mended, &field, &fault);
  else
    written = write_value(out, content.value);
  if (!written) error_set(err, ERROR_INTERNAL, "out of memory");
  if (!written || !fault || endpoint->kind == ENDPOINT_CHARGE) return written;
  snprintf(came, sizeof came, "one whose %s %s", field, fault);
  response_unexpected(endpoint, came, err);
  return false;
}

static bool write_scope(struct buffer *out, const struct limiter_status *status, int scope)
{
  struct writing writing = {.out = out};
  add_number(&writing, "requests", status->scopes[scope].count);
  add_number(&writing, "seconds", status->scopes[scope].window);
  add_number(&writing, "free", status->scopes[scope].free);
  add_number(&writing, "next", status->scopes[scope].next);
  add_number(&writing, "paused", status->scopes[scope].paused);
  add_number(&writing, "paced", status->scopes[scope].paced);
  add_number(&writing, "waiting", (double)status->scopes[scope].waiting);
  return end_object(&writing);
}

bool result_write_limits(const struct limiter_status *status, struct buffer *out)
{
  struct writing writing = {.out = out};
  for (int i = 0; i < SLOTS_SCOPES && !writing.failed; i++) {
    add_name(&writing, status->scopes[i].name, strlen(status->scopes[i].name));
    writing.failed |= !write_scope(out, status, i);
  }
  add_flag(&writing, "off", status->off);
  return end_object(&writing);
}

static bool write_entry(struct buffer *out, const struct journal_entry *entry)
{
  struct writing writing = {.out = out};
  add_text(&writing, "key", entry->key);
  add_text(&writing, "state", journal_state_name(entry->state));
  add_text(&writing, "endpoint", entry->endpoint);
  add_text(&writing, "params", entry->params);
  add_text(&writing, "order_id", entry->order_id);
  add_money(&writing, "quote", entry->quote);
  if (entry->price != JOURNAL_NO_PRICE) add_money(&writing, "price", entry->price);
  add_text(&writing, "note", entry->note);
  return end_object(&writing);
}

bool result_write_journal(const struct journal_list *list, struct buffer *out)
{
  bool ok = buffer_add_text(out, "[");
  for (size_t i = 0; i < list->count && ok; i++)
    ok = (i == 0 || buffer_add_text(out, ",")) && write_entry(out, &list->entries[i]);
  return ok && buffer_add_text(out, "]");
}
