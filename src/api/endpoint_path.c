/* Paths: what is judged is what is sent. Spellings that name one path come out the same; those that
 * a server might read otherwise than this table does are refused. */
#include <stdio.h>
#include <string.h>

#include "api/endpoint.h"

static bool out_of_memory(struct error *err)
{
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

static bool is_unreserved(unsigned char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != 0 && strchr("-._~", c));
}

/* Of 7-bit ASCII: what may stand in a path unencoded besides the unreserved. */
static bool is_plain(unsigned char c)
{
  return is_unreserved(c) || (c != 0 && strchr("!$&'()*+,=:@", c));
}

static bool add_encoded(unsigned char c, struct buffer *out)
{
  return buffer_print(out, "%%%02X", c);
}

bool endpoint_encode(struct buffer *out, const char *text)
{
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (!(is_unreserved(c) ? buffer_add(out, &c, 1) : add_encoded(c, out))) return false;
  }
  return true;
}

static int hex(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool refuse(struct error *err, const char *what)
{
  error_set(err, ERROR_USAGE,
            "the path %s; give a plain path below the API's base, such as \"/orders/ord_abc123\"",
            what);
  return false;
}

/* One escape, as it is kept: decoded when unreserved, in capitals otherwise. */
static bool add_escape(const char *text, const char *end, struct buffer *out, struct error *err)
{
  int high = end - text > 2 ? hex(text[1]) : -1, low = high >= 0 ? hex(text[2]) : -1;
  if (low < 0) return refuse(err, "has a '%' that two hexadecimal digits do not follow");
  unsigned char c = (unsigned char)(high * 16 + low);
  if (c < 0x20 || c == 0x7F) return refuse(err, "has an encoded control character");
  if (strchr("/\\%", c)) return refuse(err, "has an encoded '/', '\\' or '%'");
  return (is_unreserved(c) ? buffer_add(out, &c, 1) : add_encoded(c, out)) || out_of_memory(err);
}

static bool add_character(unsigned char c, struct buffer *out, struct error *err)
{
  if (c < 0x20 || c == 0x7F) return refuse(err, "has a control character");
  if (c == '#' || c == '\\' || c == ';') return refuse(err, "has a '#', '\\' or ';'");
  return (is_plain(c) ? buffer_add(out, &c, 1) : add_encoded(c, out)) || out_of_memory(err);
}

/* Drops the segment that begins at `start` (its '/') when it is empty or ".", and with ".." the one
 * before it too. */
static void settle(struct buffer *out, size_t base, size_t start)
{
  const char *segment = out->data + start;
  size_t size = out->size - start;
  if (size == 3 && segment[1] == '.' && segment[2] == '.') {
    while (start > base && out->data[--start] != '/') continue;
  } else if (size > 1 && !(size == 2 && segment[1] == '.')) {
    return;
  }
  out->size = start;
  out->data[start] = '\0';
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

bool endpoint_normalise(const char *path, size_t size, struct buffer *out, const char **query,
                        struct error *err)
{
  const char *end = path + size, *mark = size > 0 ? memchr(path, '?', size) : NULL;
  *query = mark ? mark + 1 : NULL;
  if (mark && !check_query(mark + 1, end, err)) return false;
  if (mark) end = mark;
  if (path == end || *path != '/') return refuse(err, "does not begin with '/'");

  size_t base = out->size;
  for (const char *at = path; at < end;) {
    size_t start = out->size;
    if (!buffer_add(out, "/", 1)) return out_of_memory(err);
    for (at++; at < end && *at != '/'; at += *at == '%' ? 3 : 1)
      if (!(*at == '%' ? add_escape(at, end, out, err)
                       : add_character((unsigned char)*at, out, err)))
        return false;
    settle(out, base, start);
  }
  return out->size > base || buffer_add(out, "/", 1) || out_of_memory(err);
}

static const char *find_value(const struct endpoint_value *values, const char *name, size_t size)
{
  for (; values->name; values++)
    if (strlen(values->name) == size && memcmp(values->name, name, size) == 0) return values->text;
  return "";
}

/* A value of dots alone would climb; an empty one would name the list. */
static bool add_value(const struct endpoint *endpoint, const char *name, size_t size,
                      const struct endpoint_value *values, struct buffer *out, struct error *err)
{
  const char *value = find_value(values, name, size);
  if (value[strspn(value, ".")] != '\0') return endpoint_encode(out, value) || out_of_memory(err);
  err->endpoint = endpoint->name;
  error_set(err, ERROR_USAGE, "%s needs an %.*s; \"%.20s\" is none", endpoint->name, (int)size,
            name, value);
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
