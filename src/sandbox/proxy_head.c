#include "sandbox/proxy_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A part of the head. Nothing here is terminated by a NUL. */
struct span {
  const char *at;
  size_t size;
};

static bool same(struct span span, const char *word)
{
  return span.size == strlen(word) && strncasecmp(span.at, word, span.size) == 0;
}

static struct span trim(struct span span)
{
  while (span.size > 0 && (*span.at == ' ' || *span.at == '\t')) span.at++, span.size--;
  while (span.size > 0 && (span.at[span.size - 1] == ' ' || span.at[span.size - 1] == '\t'))
    span.size--;
  return span;
}

/* Cuts off and answers what comes before the separator; all of it when there is none. */
static struct span cut(struct span *rest, char separator)
{
  const char *end = rest->size > 0 ? memchr(rest->at, separator, rest->size) : NULL;
  struct span part = {rest->at, end ? (size_t)(end - rest->at) : rest->size};
  size_t taken = part.size + (end ? 1 : 0);
  rest->at += taken;
  rest->size -= taken;
  return part;
}

static bool is_token(struct span span)
{
  static const char others[] = "!#$%&'*+-.^_`|~";
  for (size_t i = 0; i < span.size; i++) {
    char c = span.at[i];
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
          (c && strchr(others, c))))
      return false;
  }
  return span.size > 0;
}

static bool is_text(struct span span)
{
  for (size_t i = 0; i < span.size; i++)
    if (((unsigned char)span.at[i] < 0x20 && span.at[i] != '\t') || span.at[i] == 0x7F)
      return false;
  return true;
}

/* Digits only; -1 when it is no number from 0 to `max`. */
static int64_t number(struct span span, int64_t max)
{
  int64_t value = 0;
  if (span.size == 0 || span.size > 18) return -1;
  for (size_t i = 0; i < span.size; i++) {
    if (span.at[i] < '0' || span.at[i] > '9') return -1;
    value = value * 10 + (span.at[i] - '0');
  }
  return value <= max ? value : -1;
}

/* host, host:port or [address]:port. */
static bool read_authority(struct proxy_head *head, struct span authority, int port)
{
  struct span host = authority, rest = {authority.at + authority.size, 0};
  bool literal = authority.size > 0 && authority.at[0] == '[';
  if (literal) {
    rest = (struct span){authority.at + 1, authority.size - 1};
    if (!memchr(rest.at, ']', rest.size)) return false;
    host = cut(&rest, ']');
    if (rest.size > 0 && rest.at[0] != ':') return false;
  } else {
    rest = authority;
    host = cut(&rest, ':');
    if (rest.at > host.at + host.size) rest.at--, rest.size++;
  }
  if (host.size == 0 || host.size >= sizeof head->host || memchr(host.at, '@', host.size))
    return false;
  memcpy(head->host, host.at, host.size);
  head->host[host.size] = '\0';
  head->port =
      rest.size == 0 ? port : (int)number((struct span){rest.at + 1, rest.size - 1}, 65535);
  return head->port > 0;
}

/* http://authority/path. Leaves the path, which may be empty, in `target`. */
static int read_absolute(struct proxy_head *head, struct span *target, struct span *authority)
{
  static const char scheme[] = "http://";
  size_t size = sizeof scheme - 1;
  if (target->size <= size || strncasecmp(target->at, scheme, size) != 0) return 400;
  target->at += size;
  target->size -= size;
  *authority = (struct span){target->at, 0};
  while (authority->size < target->size && !strchr("/?#", target->at[authority->size]))
    authority->size++;
  target->at += authority->size;
  target->size -= authority->size;
  return read_authority(head, *authority, 80) ? 0 : 400;
}

/* An absent path becomes a slash. The origin speaks for itself about keeping the connection. */
static bool write_line(struct proxy_head *head, struct span method, struct span target,
                       struct span version, struct span authority)
{
  struct buffer *out = &head->origin;
  return buffer_print(out, "%.*s %s%.*s %.*s\r\nHost: %.*s\r\n", (int)method.size, method.at,
                      target.size > 0 && target.at[0] == '/' ? "" : "/", (int)target.size,
                      target.at, (int)version.size, version.at, (int)authority.size, authority.at);
}

static int read_line(struct proxy_head *head, struct span line)
{
  struct span method = cut(&line, ' '), target = cut(&line, ' '), version = line, authority;
  if (!is_token(method) || target.size == 0) return 400;
  if (!same(version, "HTTP/1.1") && !same(version, "HTTP/1.0")) return 505;
  head->keep = version.at[version.size - 1] == '1';
  head->connect = same(method, "CONNECT");
  if (head->connect) return read_authority(head, target, 0) ? 0 : 400;
  int status = read_absolute(head, &target, &authority);
  if (status == 0 && !write_line(head, method, target, version, authority)) status = 503;
  return status;
}

static int sextet(char c)
{
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = c ? strchr(letters, c) : NULL;
  return at ? (int)(at - letters) : -1;
}

/* The size of what was decoded, or -1. */
static int decode64(struct span text, char *out, size_t room)
{
  unsigned bits = 0;
  int count = 0, size = 0;
  while (text.size > 0 && text.at[text.size - 1] == '=') text.size--;
  for (size_t i = 0; i < text.size; i++) {
    int value = sextet(text.at[i]);
    if (value < 0 || (size_t)size == room) return -1;
    bits = bits << 6 | (unsigned)value;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out[size++] = (char)(bits >> count & 0xFF);
  }
  return size;
}

/* Basic credentials; anything else counts as none. */
static void read_credentials(struct proxy_head *head, struct span value)
{
  char text[sizeof head->user + sizeof head->password];
  struct span scheme = cut(&value, ' ');
  int size = same(scheme, "Basic") ? decode64(trim(value), text, sizeof text) : -1;
  const char *colon = size > 0 ? memchr(text, ':', (size_t)size) : NULL;
  if (!colon || memchr(text, '\0', (size_t)size)) return;
  size_t user = (size_t)(colon - text), password = (size_t)size - user - 1;
  if (user >= sizeof head->user || password >= sizeof head->password) return;
  memcpy(head->user, text, user);
  memcpy(head->password, colon + 1, password);
  head->user[user] = head->password[password] = '\0';
  head->credentials = true;
}

/* What the headers say of the body. */
struct framing {
  bool has_length, chunked, upgrade, close;
  int64_t length;
};

static int read_framing(struct framing *framing, struct span name, struct span value)
{
  if (same(name, "Content-Length")) {
    int64_t length = number(value, INT64_MAX / 16);
    if (length < 0 || (framing->has_length && framing->length != length)) return 400;
    framing->has_length = true;
    framing->length = length;
  } else if (same(name, "Transfer-Encoding")) {
    framing->chunked = true;
  } else if (same(name, "Upgrade")) {
    framing->upgrade = true;
  } else if (same(name, "Connection") || same(name, "Proxy-Connection")) {
    if (same(value, "close")) framing->close = true;
  }
  return 0;
}

/* Belongs to this hop only, or is written anew. */
static bool is_for_proxy(struct span name)
{
  return (name.size >= 6 && strncasecmp(name.at, "Proxy-", 6) == 0) || same(name, "Host") ||
         same(name, "Connection") || same(name, "Keep-Alive");
}

static int read_header(struct proxy_head *head, struct framing *framing, struct span line)
{
  struct span value = line, name = cut(&value, ':');
  if (!is_token(name) || name.size == line.size || !is_text(value)) return 400;
  value = trim(value);
  if (same(name, "Proxy-Authorization")) read_credentials(head, value);
  int status = read_framing(framing, name, value);
  if (status != 0 || head->connect || is_for_proxy(name)) return status;
  bool kept = buffer_print(&head->origin, "%.*s: %.*s\r\n", (int)name.size, name.at,
                           (int)value.size, value.at);
  return kept ? 0 : 503;
}

/* A body whose end is not told beforehand is the last thing on its connection, and the origin is
 * told so. */
static int finish(struct proxy_head *head, const struct framing *framing)
{
  if (framing->chunked && framing->has_length) return 400;
  bool open = framing->chunked || framing->upgrade || head->connect;
  head->body = open ? PROXY_HEAD_OPEN : framing->length;
  head->keep = head->keep && !framing->close;
  if (head->connect) return 0;
  const char *connection = framing->upgrade                  ? "Connection: upgrade\r\n\r\n"
                           : framing->chunked || !head->keep ? "Connection: close\r\n\r\n"
                                                             : "\r\n";
  return buffer_add_text(&head->origin, connection) ? 0 : 503;
}

int proxy_head_read(struct proxy_head *head, const char *text, size_t size)
{
  struct span rest = {text, size}, line;
  struct framing framing = {0};
  int status = 0;
  *head = (struct proxy_head){0};
  for (bool first = true; status == 0; first = false) {
    line = cut(&rest, '\n');
    if (line.size == 0 || line.at[line.size - 1] != '\r') return 400;
    line.size--;
    if (!is_text(line)) return 400;
    if (first)
      status = read_line(head, line);
    else if (line.size > 0)
      status = read_header(head, &framing, line);
    else
      return finish(head, &framing);
  }
  return status;
}
