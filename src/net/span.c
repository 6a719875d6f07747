#include "net/span.h"

#include <string.h>
#include <strings.h>

bool span_is(struct span span, const char *word)
{
  return span.size == strlen(word) && strncasecmp(span.at, word, span.size) == 0;
}

bool span_same(struct span a, struct span b)
{
  return a.size == b.size && strncasecmp(a.at, b.at, a.size) == 0;
}

struct span span_trim(struct span span)
{
  while (span.size > 0 && (*span.at == ' ' || *span.at == '\t')) span.at++, span.size--;
  while (span.size > 0 && (span.at[span.size - 1] == ' ' || span.at[span.size - 1] == '\t'))
    span.size--;
  return span;
}

struct span span_cut(struct span *rest, char separator)
{
  const char *end = rest->size > 0 ? memchr(rest->at, separator, rest->size) : NULL;
  struct span part = {rest->at, end ? (size_t)(end - rest->at) : rest->size};
  size_t taken = part.size + (end ? 1 : 0);
  rest->at += taken;
  rest->size -= taken;
  return part;
}

static bool is_word(char c)
{
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool span_is_token(struct span span)
{
  static const char others[] = "!#$%&'*+-.^_`|~";
  for (size_t i = 0; i < span.size; i++) {
    char c = span.at[i];
    if (!is_word(c) && !(c && strchr(others, c))) return false;
  }
  return span.size > 0;
}

bool span_is_text(struct span span)
{
  for (size_t i = 0; i < span.size; i++)
    if (((unsigned char)span.at[i] < 0x20 && span.at[i] != '\t') || span.at[i] == 0x7F)
      return false;
  return true;
}

int64_t span_number(struct span span, int64_t max)
{
  int64_t value = 0;
  if (span.size == 0 || span.size > 18) return -1;
  for (size_t i = 0; i < span.size; i++) {
    if (span.at[i] < '0' || span.at[i] > '9') return -1;
    value = value * 10 + (span.at[i] - '0');
  }
  return value <= max ? value : -1;
}

bool span_lists(struct span list, struct span word)
{
  while (list.size > 0)
    if (span_same(span_trim(span_cut(&list, ',')), word)) return true;
  return false;
}

static bool is_host(struct span host, bool literal)
{
  for (size_t i = 0; i < host.size; i++) {
    char c = host.at[i];
    if (!is_word(c) && !strchr(literal ? ":." : "-._", c)) return false;
  }
  return host.size > 0;
}

bool span_authority(struct span authority, char *host, size_t room, int *port)
{
  struct span rest = authority, name;
  bool literal = authority.size > 0 && authority.at[0] == '[', has_port;
  if (literal) {
    rest.at++, rest.size--;
    if (!memchr(rest.at, ']', rest.size)) return false;
    name = span_cut(&rest, ']');
    if (rest.size > 0 && rest.at[0] != ':') return false;
    has_port = rest.size > 0;
    if (has_port) rest.at++, rest.size--;
  } else {
    name = span_cut(&rest, ':');
    has_port = name.size < authority.size;
  }
  if (name.size >= room || memchr(name.at, '\0', name.size) || !is_host(name, literal))
    return false;
  memcpy(host, name.at, name.size);
  host[name.size] = '\0';
  if (has_port) *port = (int)span_number(rest, 65535);
  return *port > 0;
}
