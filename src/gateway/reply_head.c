#include "gateway/reply_head.h"

#include <strings.h>

#include "net/span.h"

#define MAX_CONNECTION 8

struct framing {
  bool has_length, chunked, other_coding, close, keep_alive, modern;
  struct span connection[MAX_CONNECTION];
  int connections;
};

/* Takes the next line, without its end. False when it does not end in CR LF. */
static bool take_line(struct span *rest, struct span *line)
{
  *line = span_cut(rest, '\n');
  if (line->size == 0 || line->at[line->size - 1] != '\r') return false;
  line->size--;
  return span_is_text(*line);
}

/* HTTP/1.x NNN and a reason that may be absent. */
static bool read_status(struct reply_head *head, struct framing *framing, struct span line)
{
  struct span version = span_cut(&line, ' '), code = span_cut(&line, ' ');
  framing->modern = span_is(version, "HTTP/1.1");
  if (!framing->modern && !span_is(version, "HTTP/1.0")) return false;
  head->status = code.size == 3 ? (int)span_number(code, 999) : -1;
  return head->status >= 100 &&
         buffer_print(&head->out, "HTTP/1.1 %d %.*s\r\n", head->status, (int)line.size, line.at);
}

static bool read_framing(struct reply_head *head, struct framing *framing, struct span name,
                         struct span value)
{
  static const struct span close = {"close", 5}, keep_alive = {"keep-alive", 10};
  if (span_is(name, "Content-Length")) {
    int64_t length = span_number(value, INT64_MAX / 16);
    if (length < 0 || (framing->has_length && length != head->length)) return false;
    framing->has_length = true;
    head->length = length;
  } else if (span_is(name, "Transfer-Encoding")) {
    if (framing->chunked || framing->other_coding) return false;
    framing->chunked = span_is(value, "chunked");
    framing->other_coding = !framing->chunked;
  } else if (span_is(name, "Connection") || span_is(name, "Proxy-Connection")) {
    if (framing->connections == MAX_CONNECTION) return false;
    framing->connection[framing->connections++] = value;
    if (span_lists(value, close)) framing->close = true;
    if (span_lists(value, keep_alive)) framing->keep_alive = true;
  } else if (span_is(name, "WWW-Authenticate")) {
    if (value.size >= 4 && (strncasecmp(value.at, "NTLM", 4) == 0 ||
                            (value.size >= 9 && strncasecmp(value.at, "Negotiate", 9) == 0)))
      head->pinned = true;
  }
  return true;
}

static bool read_headers(struct reply_head *head, struct framing *framing, struct span rest)
{
  struct span line;
  for (;;) {
    if (!take_line(&rest, &line)) return false;
    if (line.size == 0) return true;
    struct span value = line, name = span_cut(&value, ':');
    if (!span_is_token(name) || name.size == line.size) return false;
    if (!read_framing(head, framing, name, span_trim(value))) return false;
  }
}

static bool is_of_hop(const struct framing *framing, struct span name)
{
  if (span_is(name, "Connection") || span_is(name, "Keep-Alive") ||
      (name.size >= 6 && strncasecmp(name.at, "Proxy-", 6) == 0))
    return true;
  if (span_is(name, "Content-Length") || span_is(name, "Transfer-Encoding")) return false;
  for (int i = 0; i < framing->connections; i++)
    if (span_lists(framing->connection[i], name)) return true;
  return false;
}

/* 101 keeps its Upgrade. */
static bool write_headers(struct reply_head *head, const struct framing *framing, struct span rest)
{
  struct span line;
  while (take_line(&rest, &line) && line.size > 0) {
    struct span value = line, name = span_cut(&value, ':');
    bool kept = head->status == 101 && span_is(name, "Upgrade");
    if (!kept && is_of_hop(framing, name)) continue;
    value = span_trim(value);
    if (!buffer_print(&head->out, "%.*s: %.*s\r\n", (int)name.size, name.at, (int)value.size,
                      value.at))
      return false;
  }
  return true;
}

static void choose_body(struct reply_head *head, const struct framing *framing, bool without_body)
{
  if (without_body || head->status < 200 || head->status == 204 || head->status == 304)
    head->kind = BODY_NONE;
  else if (framing->chunked)
    head->kind = BODY_CHUNKED;
  else if (framing->has_length && !framing->other_coding)
    head->kind = BODY_LENGTH;
  else
    head->kind = BODY_UNTIL_END;
  head->keep = !framing->close && (framing->modern || framing->keep_alive) &&
               head->kind != BODY_UNTIL_END && !head->pinned;
}

bool reply_head_read(struct reply_head *head, const char *text, size_t size, bool without_body,
                     bool upgrade)
{
  struct span rest = {text, size}, line;
  struct framing framing = {0};
  *head = (struct reply_head){0};
  if (!take_line(&rest, &line) || !read_status(head, &framing, line)) return false;
  if (head->status == 101 && !upgrade) return false;
  if (!read_headers(head, &framing, rest)) return false;
  if ((framing.chunked || framing.other_coding) && (framing.has_length || !framing.modern))
    return false;
  choose_body(head, &framing, without_body);
  return write_headers(head, &framing, rest);
}
