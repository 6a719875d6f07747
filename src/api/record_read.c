#include "api/record_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/proxy_url.h"
#include "base/datetime.h"

#define DIGITS "0123456789"
#define MILLISECONDS_FROM 1e11     /* as seconds, the year 5138 */
#define LAST_SECOND 253402300799.0 /* of the year 9999 */

const struct json_value *record_find(const struct json_value *record,
                                     const struct record_field *field)
{
  const struct json_value *found = json_get(record, field->name);
  for (const char *const *alias = field->aliases; !found && *alias; alias++)
    found = json_get(record, *alias);
  return found;
}

static void read_text(const struct json_value *json, struct record_value *value)
{
  value->text = json_text(json, value->own, &value->size);
  if (value->text) value->type = VALUE_TEXT;
}

/* "8080", "08" and "10.0". */
static bool parse_integer(const struct json_value *json, int64_t *integer)
{
  char *end;
  if (json->size == 0 || strspn(json->text, DIGITS "-.") != json->size) return false;
  errno = 0;
  *integer = strtoll(json->text, &end, 10);
  if (end == json->text || errno == ERANGE) return false;
  if (*end == '.') end += 1 + strspn(end + 1, "0");
  return *end == '\0';
}

static void read_integer(const struct json_value *json, struct record_value *value)
{
  struct json_number number;
  bool read = false;
  if (json->type == JSON_STRING) {
    read = parse_integer(json, &value->integer);
  } else if (json->type == JSON_NUMBER) {
    read = json_scan_number(json->text, &number) && number.type == JSON_INTEGER;
    if (read) value->integer = number.integer;
  }
  if (read) value->type = VALUE_INTEGER;
}

/* A server's floating-point noise ("9.299999999999999") must not cost an answer: the nearest amount
 * is what it meant. */
static void read_money(const struct json_value *json, struct record_value *value)
{
  struct decimal decimal;
  if (json->type != JSON_NUMBER && json->type != JSON_STRING) return;
  if (decimal_parse(json->text, json->size, &decimal) == MONEY_OK &&
      money_nearest(&decimal, &value->amount) == MONEY_OK)
    value->type = VALUE_MONEY;
}

/* "2026-11-23T20:15:00Z", with a fraction or without. */
static bool is_utc(const char *text, size_t size)
{
  return size >= strlen("2026-11-23T20:15:00Z") && text[4] == '-' && text[10] == 'T' &&
         text[size - 1] == 'Z';
}

/* Seconds of a text other than how we write times. A date alone stays what it is, and so does a
 * short number, which may be a year. */
static bool read_text_time(const char *text, size_t size, double *seconds)
{
  bool is_number = strspn(text, DIGITS ".") == size, is_date = size == strlen("2026-11-23");
  return strlen(text) == size && !is_utc(text, size) && !(is_number && size < 9) &&
         (is_number || !is_date) && date_parse(text, seconds);
}

#define MAX_WRAPPERS 2 /* {"$date": {"$numberLong": "1795464900000"}} */

/* Seconds of a number, a text, or one of these as MongoDB wraps it. */
static bool read_seconds(const struct json_value *json, int wrappers, double *seconds)
{
  static const char *const names[] = {"$date", "$numberLong"};
  struct json_number number;
  if (json->type == JSON_OBJECT && wrappers < MAX_WRAPPERS) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
      const struct json_value *inner = json_get(json, names[i]);
      if (!inner) continue;
      if (inner->type == JSON_STRING && date_parse(inner->text, seconds)) return true;
      if (read_seconds(inner, wrappers + 1, seconds)) return true;
    }
    return false;
  }
  if (json->type == JSON_NUMBER && json_scan_number(json->text, &number) &&
      number.type != JSON_DIGITS) {
    *seconds = number.value;
    if (*seconds >= MILLISECONDS_FROM) *seconds /= 1000;
  } else if (json->type != JSON_STRING || !read_text_time(json->text, json->size, seconds)) {
    return false;
  }
  return *seconds >= 0 && *seconds <= LAST_SECOND;
}

static void read_time(const struct json_value *json, struct record_value *value)
{
  double seconds;
  struct tm parts;
  if (!read_seconds(json, 0, &seconds)) {
    if (json->type == JSON_STRING) read_text(json, value);
    return;
  }
  time_t when = (time_t)seconds;
  if (!gmtime_r(&when, &parts)) return;
  value->size = strftime(value->own, sizeof value->own, "%Y-%m-%dT%H:%M:%SZ", &parts);
  value->text = value->own;
  value->type = VALUE_TEXT;
}

/* What makes a value useless as an id, or as text that has to be exact; NULL if nothing does.
 * U+FFFD counts as unreadable only where it may stand for a surrogate. */
static const char *fault_of(const struct record_value *value, enum record_type type, bool mended)
{
  static const char replacement[] = "\xEF\xBF\xBD";
  if (type != RECORD_ID && type != RECORD_EXACT) return NULL;
  if (value->type != VALUE_TEXT) return type == RECORD_ID ? "is not a text" : NULL;
  if (mended && memmem(value->text, value->size, replacement, strlen(replacement)))
    return "is not valid Unicode text";
  if (memchr(value->text, '\0', value->size)) return "holds a NUL byte";
  if (type == RECORD_EXACT) return NULL;
  if (value->size == 0) return "is empty";
  return value->size > RECORD_MAX_ID ? "is longer than 512 bytes" : NULL;
}

void record_convert(const struct json_value *json, enum record_type type, bool mended,
                    struct record_value *value)
{
  *value = (struct record_value){.type = json ? VALUE_OTHER : VALUE_ABSENT, .json = json};
  if (!json) return;
  switch (type) {
    case RECORD_TEXT:
    case RECORD_ID:
    case RECORD_EXACT:
      read_text(json, value);
      break;
    case RECORD_INTEGER:
      read_integer(json, value);
      break;
    case RECORD_MONEY:
      read_money(json, value);
      break;
    case RECORD_TIME:
      read_time(json, value);
      break;
    case RECORD_ANY:
      break;
  }
  value->fault = fault_of(value, type, mended);
}

void record_read(const struct json_value *record, enum record_kind kind, int position, bool mended,
                 struct record_value *value)
{
  const struct record_field *field = &record_fields(kind)[position];
  const struct json_value *json = record_find(record, field);
  if (record->type != JSON_OBJECT && strcmp(field->name, "id") == 0) json = record;
  record_convert(json, field->type, mended, value);
}

bool record_has_mark(const struct json_value *record, enum record_kind kind)
{
  const char *const *mark = record_marks(kind);
  if (!*mark || record->type != JSON_OBJECT) return true;
  for (; *mark; mark++) {
    int position = record_field_find(kind, *mark);
    if (position < 0 ? json_get(record, *mark) != NULL
                     : record_find(record, &record_fields(kind)[position]) != NULL)
      return true;
  }
  return false;
}

#define MAX_FIELDS 16 /* of a kind of record */
#define SHORT_URL 512 /* bytes; longer ones are put together in allocated memory */

/* Whether a field is, or has the name of, one that was visited under its canonical name. */
static bool is_taken(const struct json_value *field, const struct json_value *const *taken,
                     int count)
{
  for (int i = 0; i < count; i++)
    if (taken[i] && taken[i]->name && taken[i]->name_size == field->name_size &&
        memcmp(taken[i]->name, field->name, field->name_size) == 0)
      return true;
  return false;
}

static struct proxy_text text_of(const struct record_value *value)
{
  return value->type == VALUE_TEXT ? (struct proxy_text){value->text, value->size}
                                   : (struct proxy_text){"", 0};
}

static void visit_text(record_visitor *visit, void *arg, const char *name, const char *text,
                       size_t size)
{
  const struct record_value value = {.type = VALUE_TEXT, .text = text, .size = size};
  visit(arg, name, strlen(name), &value);
}

/* Visits what a proxy of the API gets besides its fields: a URL, and the protocol http where the
 * server sent none. Returns whether it has a URL. */
static bool visit_proxy(const struct record_value *values, record_visitor *visit, void *arg)
{
  const struct record_value *port = &values[PROXY_PORT];
  const struct proxy_url url = {.protocol = text_of(&values[PROXY_PROTOCOL]),
                                .username = text_of(&values[PROXY_USERNAME]),
                                .password = text_of(&values[PROXY_PASSWORD]),
                                .host = text_of(&values[PROXY_HOST]),
                                .port = port->type == VALUE_INTEGER ? port->integer : 0};
  char own[SHORT_URL];
  if (url.protocol.size == 0) visit_text(visit, arg, "protocol", "http", 4);
  if (url.host.size == 0 || url.port < 0 || url.port > 65535 || port->type == VALUE_OTHER)
    return false;
  size_t most = proxy_url_most(&url);
  char *text = most > sizeof own ? malloc(most) : own;
  if (!text) return false;
  visit_text(visit, arg, "url", text, (size_t)(proxy_url_put(text, &url) - text));
  if (text != own) free(text);
  return true;
}

/* A protocol that is not a text, or empty, gives way to that of visit_proxy. */
static bool is_given(enum record_kind kind, int position, const struct record_value *value)
{
  if (kind == RECORD_PROXY && position == PROXY_PROTOCOL) return text_of(value).size > 0;
  return value->type != VALUE_ABSENT;
}

static bool is_url(const struct json_value *field)
{
  return field->name_size == 3 && memcmp(field->name, "url", 3) == 0;
}

const char *record_visit(const struct json_value *record, enum record_kind kind, bool mended,
                         record_visitor *visit, void *arg, const char **at_fault)
{
  const struct record_field *fields = record_fields(kind);
  const struct json_value *taken[MAX_FIELDS] = {NULL};
  struct record_value values[MAX_FIELDS];
  const char *fault = NULL;
  int count = 0;
  for (; fields[count].name; count++) {
    struct record_value *value = &values[count];
    record_read(record, kind, count, mended, value);
    taken[count] = value->json;
    if (value->fault) {
      fault = value->fault;
      *at_fault = fields[count].name;
    } else if (is_given(kind, count, value)) {
      visit(arg, fields[count].name, strlen(fields[count].name), value);
    }
  }
  if (!fault && !record_has_mark(record, kind)) {
    fault = "is missing";
    *at_fault = *record_marks(kind);
  }
  bool has_url = kind == RECORD_PROXY && !fault && visit_proxy(values, visit, arg);
  for (const struct json_value *field = record->first; field; field = field->next) {
    if (field->type == JSON_NULL || is_taken(field, taken, count)) continue;
    if (has_url && is_url(field)) continue;
    struct record_value value;
    record_convert(field, RECORD_ANY, mended, &value);
    visit(arg, field->name, field->name_size, &value);
  }
  return fault;
}

const char *record_text(const struct json_value *record, enum record_kind kind, int position,
                        bool mended, struct record_value *value)
{
  record_read(record, kind, position, mended, value);
  if (value->type == VALUE_ABSENT || value->fault) return NULL;
  if (value->type == VALUE_MONEY) {
    value->size = money_format(value->amount, value->own);
    return value->own;
  }
  if (value->type == VALUE_INTEGER) {
    value->size = (size_t)snprintf(value->own, sizeof value->own, "%" PRId64, value->integer);
    return value->own;
  }
  return value->type == VALUE_TEXT ? value->text : json_text(value->json, value->own, &value->size);
}
