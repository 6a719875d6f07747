#include "net/proxy_head.h"

#include <string.h>
#include <strings.h>

#include "net/span.h"

#define MAX_CONNECTION 8

static bool read_authority(struct proxy_head *head, struct span authority, int port)
{
  head->port = port;
  return span_authority(authority, head->host, sizeof head->host, &head->port);
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
  head->path_at = method.size + 1;
  return buffer_print(out, "%.*s %s%.*s %.*s\r\nHost: %.*s\r\n", (int)method.size, method.at,
                      target.size > 0 && target.at[0] == '/' ? "" : "/", (int)target.size,
                      target.at, (int)version.size, version.at, (int)authority.size, authority.at);
}

static bool is_method(struct span method, const char *name)
{
  return method.size == strlen(name) && memcmp(method.at, name, method.size) == 0;
}

static int read_line(struct proxy_head *head, struct span line)
{
  struct span method = span_cut(&line, ' '), target = span_cut(&line, ' '), version = line;
  struct span authority;
  if (!span_is_token(method) || target.size == 0) return 400;
  if (!span_is(version, "HTTP/1.1") && !span_is(version, "HTTP/1.0")) return 505;
  head->modern = head->keep = version.at[version.size - 1] == '1';
  head->connect = span_is(method, "CONNECT");
  if (head->connect) return read_authority(head, target, 0) ? 0 : 400;
  head->without_body = is_method(method, "HEAD");
  head->safe = head->without_body || is_method(method, "GET");
  int status = read_absolute(head, &target, &authority);
  if (status == 0 && !write_line(head, method, target, version, authority)) status = 503;
  head->headers_at = head->origin.size;
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
  struct span scheme = span_cut(&value, ' ');
  int size = span_is(scheme, "Basic") ? decode64(span_trim(value), text, sizeof text) : -1;
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
  bool has_length, chunked, close;
  struct span connection[MAX_CONNECTION]; /* values of Connection */
  int connections;
};

/* Two transfer codings, or one that is not chunked, are read differently by different servers. */
static int read_framing(struct proxy_head *head, struct framing *framing, struct span name,
                        struct span value)
{
  if (span_is(name, "Content-Length")) {
    int64_t length = span_number(value, INT64_MAX / 16);
    if (length < 0 || (framing->has_length && head->length != length)) return 400;
    framing->has_length = true;
    head->length = length;
  } else if (span_is(name, "Transfer-Encoding")) {
    if (framing->chunked || !span_is(value, "chunked") || !head->modern) return 400;
    framing->chunked = true;
  } else if (span_is(name, "Upgrade")) {
    head->upgrade = span_is(value, "websocket") && head->modern;
  }
  return 0;
}

/* Belongs to this hop only, or is written anew. */
static bool is_for_proxy(const struct proxy_head *head, const struct framing *framing,
                         struct span name)
{
  static const char *const own[] = {"Host", "Connection", "Keep-Alive", "TE", "HTTP2-Settings"};
  static const char *const framed[] = {"Content-Length", "Transfer-Encoding"};
  if (name.size >= 6 && strncasecmp(name.at, "Proxy-", 6) == 0) return true;
  if (span_is(name, "Upgrade")) return !head->upgrade;
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
    if (span_is(name, own[i])) return true;
  for (size_t i = 0; i < sizeof framed / sizeof framed[0]; i++)
    if (span_is(name, framed[i])) return false;
  for (int i = 0; i < framing->connections; i++)
    if (span_lists(framing->connection[i], name)) return true;
  return false;
}

/* Reads what has to be known before any header is passed on. */
static int read_early(struct proxy_head *head, struct framing *framing, struct span line)
{
  struct span value = line, name = span_cut(&value, ':');
  if (!span_is_token(name) || name.size == line.size || !span_is_text(value)) return 400;
  value = span_trim(value);
  if (span_is(name, "Proxy-Authorization")) read_credentials(head, value);
  if (span_is(name, "Connection") || span_is(name, "Proxy-Connection")) {
    static const struct span close = {"close", 5};
    if (span_lists(value, close)) framing->close = true;
    if (framing->connections == MAX_CONNECTION) return 400;
    framing->connection[framing->connections++] = value;
  }
  return read_framing(head, framing, name, value);
}

static bool write_header(struct proxy_head *head, const struct framing *framing, struct span line)
{
  struct span value = line, name = span_cut(&value, ':');
  if (is_for_proxy(head, framing, name)) return true;
  value = span_trim(value);
  return buffer_print(&head->origin, "%.*s: %.*s\r\n", (int)name.size, name.at, (int)value.size,
                      value.at);
}

/* A body of unknown length is the last one on its connection. `end` then asks the origin to close
 * it, for callers that do not parse chunks. */
static int finish(struct proxy_head *head, const struct framing *framing)
{
  if (framing->chunked && framing->has_length) return 400;
  bool open = framing->chunked || head->upgrade || head->connect;
  head->chunked = framing->chunked;
  head->body = open ? PROXY_HEAD_OPEN : head->length;
  head->keep = head->keep && !framing->close;
  head->end = head->upgrade                     ? "Connection: upgrade\r\n\r\n"
              : framing->chunked || !head->keep ? "Connection: close\r\n\r\n"
                                                : "\r\n";
  return 0;
}

/* Takes the next line, without its end. False when it does not end in CR LF. */
static bool take_line(struct span *rest, struct span *line)
{
  *line = span_cut(rest, '\n');
  if (line->size == 0 || line->at[line->size - 1] != '\r') return false;
  line->size--;
  return span_is_text(*line);
}

int proxy_head_read(struct proxy_head *head, const char *text, size_t size)
{
  struct span rest = {text, size}, line, headers;
  struct framing framing = {0};
  *head = (struct proxy_head){0};
  if (!take_line(&rest, &line)) return 400;
  int status = read_line(head, line);
  headers = rest;
  for (bool more = true; status == 0 && more;) {
    if (!take_line(&rest, &line)) return 400;
    more = line.size > 0;
    if (more) status = read_early(head, &framing, line);
  }
  while (status == 0 && !head->connect && take_line(&headers, &line) && line.size > 0)
    if (!write_header(head, &framing, line)) status = 503;
  return status == 0 ? finish(head, &framing) : status;
}

const char *proxy_head_phrase(int status)
{
  static const struct {
    int status;
    const char *phrase;
  } phrases[] = {{400, "Bad Request"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {407, "Proxy Authentication Required"},
                 {431, "Request Header Fields Too Large"},
                 {502, "Bad Gateway"},
                 {503, "Service Unavailable"},
                 {504, "Gateway Timeout"},
                 {505, "HTTP Version Not Supported"}};
  for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
    if (phrases[i].status == status) return phrases[i].phrase;
  return "Error";
}
