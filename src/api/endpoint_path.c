/* Paths are checked and sent byte for byte. A spelling that a server could read as another path is
 * refused. */
#include <stdio.h>
#include <string.h>

#include "api/endpoint.h"
#include "base/text.h"

static bool out_of_memory(struct error *err)
{
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

bool endpoint_encode(struct buffer *out, const char *text)
{
  size_t size = strlen(text);
  if (!buffer_reserve(out, 3 * size)) return false;
  out->size = (size_t)(text_put_percent(out->data + out->size, text, size, "") - out->data);
  out->data[out->size] = '\0';
  return true;
}

static bool refuse(struct error *err, const char *what)
{
  error_set(err, ERROR_USAGE,
            "the path %s; use a plain path below the API's base URL, such as "
            "\"/orders/ord_abc123\"",
            what);
  return false;
}

static bool check_query(const char *text, const char *end, struct error *err)
{
  for (; text < end; text++) {
    unsigned char c = (unsigned char)*text;
    if (c <= 0x20 || c == 0x7F || c == '#' || c == '\\')
      return refuse(err, "has a query with a blank, a control character, a '#' or a '\\'");
  }
  return true;
}

static bool check_segment(const char *segment, size_t size, struct error *err)
{
  if (size == 0) return refuse(err, "has an empty segment or ends with '/'");
  if (size <= 2 && strspn(segment, ".") >= size) return refuse(err, "has a segment '.' or '..'");
  for (size_t i = 0; i < size; i++)
    if (!text_is_unreserved(segment[i]))
      return refuse(err, "has a byte other than A-Z a-z 0-9 - _ ~ . and /");
  return true;
}

bool endpoint_check_path(const char *text, size_t size, size_t *path_size, struct error *err)
{
  const char *end = text + size, *mark = size > 0 ? memchr(text, '?', size) : NULL;
  if (mark && !check_query(mark + 1, end, err)) return false;
  if (mark) end = mark;
  if (text == end || *text != '/') return refuse(err, "does not begin with '/'");
  for (const char *slash = text; slash < end;) {
    const char *segment = slash + 1;
    slash = memchr(segment, '/', (size_t)(end - segment));
    if (!slash) slash = end;
    if (!check_segment(segment, (size_t)(slash - segment), err)) return false;
  }
  *path_size = (size_t)(end - text);
  return true;
}

static const char *find_value(const struct endpoint_value *values, const char *name, size_t size)
{
  for (; values->name; values++)
    if (strlen(values->name) == size && memcmp(values->name, name, size) == 0) return values->text;
  return "";
}

/* A value of dots alone would name another path, and an empty one the list; a lenient server takes
 * blanks for nothing. */
static bool add_value(const struct endpoint *endpoint, const char *name, size_t size,
                      const struct endpoint_value *values, struct buffer *out, struct error *err)
{
  const char *value = find_value(values, name, size);
  if (value[strspn(value, ". \t\r\n\v\f")] != '\0')
    return endpoint_encode(out, value) || out_of_memory(err);
  err->endpoint = endpoint->name;
  error_set(err, ERROR_USAGE, "%s: \"%.20s\" is not an %.*s", endpoint->name, value, (int)size,
            name);
  return false;
}

bool endpoint_path(const struct endpoint *endpoint, const struct endpoint_value *values,
                   struct buffer *out, struct error *err)
{
  const char *at = endpoint->path;
  while (*at) {
    size_t plain = strcspn(at, ":");
    if (!buffer_add(out, at, plain)) return out_of_memory(err);
    at += plain;
    if (!*at) break;
    size_t name = strcspn(++at, "/");
    if (!add_value(endpoint, at, name, values, out, err)) return false;
    at += name;
  }
  return true;
}
