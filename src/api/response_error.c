#include "api/response.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/record_read.h"

#define MAX_WORDS 300  /* bytes of the server's words that are repeated */
#define NUMBER_TEXT 32 /* bytes of a number as text */

/* The text of a field that is a string or a number; NULL for any other. `number` receives that of a
 * number. */
static const char *text_of(const struct json_value *object, const char *name,
                           char number[NUMBER_TEXT])
{
  size_t size;
  const struct json_value *value = json_get(object, name);
  return value ? json_text(value, number, &size) : NULL;
}

/* The first of the names that has a text. */
static const char *first_text(const struct json_value *object, const char *const *names,
                              char number[NUMBER_TEXT])
{
  const char *text = NULL;
  for (; *names && !text; names++) text = text_of(object, *names, number);
  return text;
}

/* Copies the server's words as a terminal can only show them: control characters, those of two
 * bytes too, become blanks. */
static void copy_words(char *to, const char *words, size_t size)
{
  memcpy(to, words, size);
  to[size] = '\0';
  for (unsigned char *c = (unsigned char *)to; c < (unsigned char *)to + size; c++) {
    if (*c < 0x20 || *c == 0x7F)
      *c = ' ';
    else if (*c == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0)
      c[0] = c[1] = ' ';
  }
}

/* Adds up to `size` bytes of the server's words, cut on a whole UTF-8 character. */
static void add_words(struct error *err, const char *before, const char *words, size_t size,
                      const char *after)
{
  char said[MAX_WORDS + 1], message[sizeof err->message];
  bool cut = size > MAX_WORDS;
  if (cut) size = MAX_WORDS;
  while (cut && size > 0 && ((unsigned char)words[size] & 0xC0) == 0x80) size--;
  copy_words(said, words, size);
  memcpy(message, err->message, sizeof message);
  error_set(err, err->kind, "%s%s%s%s%s%s", message, *message ? ": " : "", before, said,
            cut ? " ..." : "", after);
}

/* CODES_LIKE_THIS, where a message stands elsewhere. */
static bool is_code(const char *text)
{
  return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == '\0';
}

static const struct json_value *find_details(const struct json_value *object)
{
  const struct json_value *details = json_get(object, "details");
  return details ? details : json_get(object, "errors");
}

/* Adds the messages about single fields: {"type": "must be one of …"}. */
static void add_details(const struct json_value *details, struct error *err)
{
  char words[MAX_WORDS];
  if (!details || details->type != JSON_OBJECT) return;
  for (const struct json_value *field = details->first; field; field = field->next) {
    if (field->type != JSON_STRING) continue;
    int size = snprintf(words, sizeof words, "%s %s", field->name, field->text);
    if (size > 0) add_words(err, "", words, strlen(words), "");
  }
}

/* {"error": {message, code, details}}, {"error": "…"}, {"message", "code"} and the like. Returns
 * the details, or NULL. */
static const struct json_value *read_object(const struct json_value *document, struct error *err)
{
  static const char *const names[] = {"message", "error", "detail", "title", NULL};
  char words[NUMBER_TEXT], digits[NUMBER_TEXT];
  const struct json_value *error = json_get(document, "error");
  bool inner = error && (error->type == JSON_OBJECT || error->type == JSON_LIST);
  const struct json_value *source = inner ? error : document;
  const char *message = first_text(source, names, words), *code = text_of(source, "code", digits);
  if (!code && error && error->type == JSON_STRING && is_code(error->text)) code = error->text;
  if (code) copy_words(err->code, code, strnlen(code, sizeof err->code - 1));
  if (message) add_words(err, "", message, strlen(message), "");
  const struct json_value *details = find_details(source);
  add_details(details, err);
  return details;
}

/* The text between <title> and what follows it, or NULL. */
static const char *find_title(const char *body, size_t size, size_t *length)
{
  static const char tag[] = "<title>";
  for (size_t i = 0; i + sizeof tag - 1 < size; i++) {
    if (strncasecmp(body + i, tag, sizeof tag - 1) != 0) continue;
    const char *title = body + i + sizeof tag - 1;
    const char *end = memchr(title, '<', size - (size_t)(title - body));
    *length = end ? (size_t)(end - title) : 0;
    return title;
  }
  return NULL;
}

static bool is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Reads a body that is not JSON: the title of HTML, the beginning of text. */
static void read_other(const char *body, size_t size, struct error *err)
{
  for (; size > 0 && is_blank(*body); size--) body++;
  if (size == 0) return;
  if (*body != '<') {
    add_words(err, "\"", body, size, "\"");
    return;
  }
  size_t length;
  const char *title = find_title(body, size, &length);
  if (title && length > 0)
    add_words(err, "a page of HTML, \"", title, length, "\"");
  else
    add_words(err, "a page of HTML", "", 0, "");
}

const struct json_value *response_error(const struct json_document *response, const char *body,
                                        size_t size, struct error *err)
{
  const struct json_value *document = response->root;
  if (!document)
    read_other(body, size, err);
  else if (document->type == JSON_OBJECT || document->type == JSON_LIST)
    return read_object(document, err);
  else if (document->type == JSON_STRING)
    read_other(document->text, document->size, err);
  return NULL;
}

static const struct {
  const char *code;
  int status;
} codes[] = {{"BAD_REQUEST", 400},     {"VALIDATION_ERROR", 400},     {"UNAUTHORIZED", 401},
             {"INVALID_API_KEY", 401}, {"INSUFFICIENT_BALANCE", 402}, {"FORBIDDEN", 403},
             {"BANNED", 403},          {"UNVERIFIED", 403},           {"NOT_FOUND", 404},
             {"RATE_LIMITED", 429}};

static enum error_kind kind_of_status(int64_t status)
{
  static const enum error_kind kinds[] =
      {[0] = ERROR_INVALID,   [1] = ERROR_AUTH,      [2] = ERROR_FUNDS,
       [3] = ERROR_FORBIDDEN, [4] = ERROR_NOT_FOUND, [8] = ERROR_TIMEOUT};
  if (status == 429) return ERROR_RATE_LIMITED;
  if (status < 400 || status > 499) return ERROR_UPSTREAM;
  return status <= 404 || status == 408 ? kinds[status - 400] : ERROR_INVALID;
}

/* A status of HTTP in an object, 0 when it holds none. */
static int64_t status_in(const struct json_value *object)
{
  static const char *const names[] = {"status", "statusCode", "status_code", "code"};
  struct record_value value;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    record_convert(json_get(object, names[i]), RECORD_INTEGER, false, &value);
    if (value.type == VALUE_INTEGER && value.integer >= 400 && value.integer <= 599)
      return value.integer;
  }
  return 0;
}

const struct json_value *response_error_document(const struct json_value *document,
                                                 struct error *err)
{
  int64_t status = 0;
  const struct json_value *details = read_object(document, err);
  for (size_t i = 0; i < sizeof codes / sizeof codes[0] && status == 0; i++)
    if (strcmp(codes[i].code, err->code) == 0) status = codes[i].status;
  if (status == 0) status = status_in(json_get(document, "error"));
  if (status == 0) status = status_in(document);
  err->kind = kind_of_status(status);
  return details;
}
