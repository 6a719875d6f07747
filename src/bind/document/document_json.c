/* JSON (RFC 8259), with the comments that sing-box and Xray allow, and with what Python prints for
 * a list: strings between single quotes, True, False and None. Values may follow one another: JSON
 * Lines. */
#include <lauxlib.h>
#include <string.h>

#include "base/text.h"
#include "bind/document/document.h"

#define SCRATCH 64 /* bytes of a number or a word */

/* What may come next. */
enum { VALUE, FIRST_ITEM, FIRST_KEY, KEY, COLON, AFTER_VALUE };

static bool is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void take(struct document *document, size_t count)
{
  document->at += count;
  document->column += count;
}

static size_t left(const struct document *document)
{
  return document->size - document->at;
}

static enum document_step starve(struct document *document, const char *what)
{
  if (left(document) > DOCUMENT_MAX_TOKEN)
    return document_fail(document, 0, 0, "%s is longer than %zu KiB", what,
                         DOCUMENT_MAX_TOKEN >> 10);
  if (!document->ended) return DOCUMENT_MORE;
  return document_fail(document, 0, 0, "the document ends within %s", what);
}

/* A comment at `at`; GOES_ON when it was taken, VALUE when there is none. */
static enum document_step skip_comment(struct document *document)
{
  const char *text = document->text + document->at;
  size_t size = left(document);
  if (*text != '#' && *text != '/') return DOCUMENT_VALUE;
  if (*text == '/' && size < 2) return starve(document, "a comment");
  if (*text == '/' && text[1] == '*') {
    const char *end = memmem(text + 2, size - 2, "*/", 2);
    if (!end) return starve(document, "a comment");
    for (const char *c = text; c < end; c++) {
      document->column++;
      if (*c != '\n') continue;
      document->line++;
      document->column = 0;
    }
    document->at += (size_t)(end - text);
    take(document, 2);
    return DOCUMENT_GOES_ON;
  }
  if (*text == '/' && text[1] != '/') return DOCUMENT_VALUE;
  const char *end = memchr(text, '\n', size);
  if (!end && !document->ended) return starve(document, "a comment");
  take(document, end ? (size_t)(end - text) : size);
  return DOCUMENT_GOES_ON;
}

/* DOCUMENT_GOES_ON: a token begins at `at`. */
static enum document_step skip_blanks(struct document *document)
{
  for (;;) {
    while (document->at < document->size && is_blank(document->text[document->at])) {
      bool newline = document->text[document->at] == '\n';
      take(document, 1);
      if (!newline) continue;
      document->line++;
      document->column = 0;
    }
    if (document->at == document->size) return document->ended ? DOCUMENT_END : DOCUMENT_MORE;
    enum document_step step = skip_comment(document);
    if (step == DOCUMENT_VALUE) return DOCUMENT_GOES_ON;
    if (step != DOCUMENT_GOES_ON) return step;
  }
}

/* Writes what \uXXXX… at `from` stands for; returns the bytes that it takes, 0 for a bad one. An
 * unpaired \udc80 to \udcff is one byte: so proxylua writes bytes that are not UTF-8. */
static size_t put_escape(char **to, const char *from, size_t size)
{
  int unit = size >= 6 ? text_escaped_unit(from) : -1;
  if (unit < 0) return 0;
  if (unit >= 0xD800 && unit < 0xDC00) {
    int low = size >= 12 ? text_escaped_unit(from + 6) : -1;
    if (low < 0xDC00 || low > 0xDFFF) return 0;
    *to = text_put_utf8(*to, text_of_pair((unsigned)unit, (unsigned)low));
    return 12;
  }
  if (unit >= 0xDC80 && unit <= 0xDCFF) {
    *(*to)++ = (char)(unit - 0xDC00);
    return 6;
  }
  if (unit >= 0xDC00 && unit <= 0xDFFF) return 0;
  *to = text_put_utf8(*to, (unsigned)unit);
  return 6;
}

/* Decodes in place, since an escape is never shorter than what it stands for. Returns the size;
 * SIZE_MAX for a bad escape. */
static size_t decode_string(char *text, size_t size)
{
  static const char names[] = "\"\\/bfnrt'", bytes[] = "\"\\/\b\f\n\r\t'";
  char *to = text;
  for (size_t at = 0; at < size;) {
    if (text[at] != '\\') {
      *to++ = text[at++];
      continue;
    }
    const char *name = at + 1 < size ? strchr(names, text[at + 1]) : NULL;
    if (name && *name) {
      *to++ = bytes[name - names];
      at += 2;
      continue;
    }
    size_t taken = at + 1 < size && text[at + 1] == 'u' ? put_escape(&to, text + at, size - at) : 0;
    if (taken == 0) return SIZE_MAX;
    at += taken;
  }
  return (size_t)(to - text);
}

/* The string at `at`: its bytes and the size of what stands there. */
static enum document_step read_string(struct document *document, const char **bytes, size_t *size,
                                      size_t *raw)
{
  char *text = document->text + document->at, quote = *text;
  size_t count = left(document), at = 1;
  bool escaped = false;
  while (at < count && text[at] != quote) {
    if ((unsigned char)text[at] < 0x20) {
      take(document, at);
      return document_fail(document, 0, 0, "a string holds a control byte or has no end");
    }
    if (text[at] == '\\') {
      escaped = true;
      at++;
    }
    at++;
  }
  if (at >= count || at > DOCUMENT_MAX_TOKEN) return starve(document, "a string");
  *bytes = text + 1;
  *size = escaped ? decode_string(text + 1, at - 1) : at - 1;
  *raw = at + 1;
  if (*size == SIZE_MAX) return document_fail(document, 0, 0, "a string has an invalid escape");
  return DOCUMENT_GOES_ON;
}

static size_t digits(const char *text)
{
  return strspn(text, "0123456789");
}

static bool is_number(const char *text)
{
  if (*text == '-') text++;
  size_t count = digits(text);
  if (count == 0 || (count > 1 && *text == '0')) return false;
  text += count;
  if (*text == '.') {
    count = digits(text + 1);
    if (count == 0) return false;
    text += count + 1;
  }
  if (*text == 'e' || *text == 'E') {
    text++;
    if (*text == '+' || *text == '-') text++;
    count = digits(text);
    if (count == 0) return false;
    text += count;
  }
  return *text == '\0';
}

static char printable(char c)
{
  return c > 0x20 && c < 0x7F ? c : '?';
}

static bool is_printable(const char *word)
{
  if (!*word) return false;
  for (; *word; word++)
    if (*word <= 0x20 || *word >= 0x7F) return false;
  return true;
}

static enum document_step read_word(struct document *document, lua_State *L)
{
  char word[SCRATCH];
  size_t size = 0, count = left(document);
  const char *text = document->text + document->at;
  while (size < count && size < sizeof word - 1 && !is_blank(text[size]) &&
         !strchr(",:[]{}\"'#/", text[size]))
    size++;
  if (size == count && !document->ended) return DOCUMENT_MORE;
  memcpy(word, text, size);
  word[size] = '\0';
  bool is_true = strcmp(word, "true") == 0 || strcmp(word, "True") == 0;
  bool is_false = strcmp(word, "false") == 0 || strcmp(word, "False") == 0;
  bool is_null = strcmp(word, "null") == 0 || strcmp(word, "None") == 0;
  if (!is_true && !is_false && !is_null && !is_number(word)) {
    if (size == 0)
      return document_fail(document, 0, 0, "expected a value, got %c", printable(*text));
    return document_fail(document, 0, 0, "expected a value, got %s",
                         is_printable(word) ? word : "something else");
  }
  size_t line = document->line;
  take(document, size);
  if (is_null) return document_add_null(document, L);
  if (is_true || is_false)
    lua_pushboolean(L, is_true);
  else
    lua_pushlstring(L, word, size);
  return document_add(document, L, line, size);
}

static void after_value(struct document *document)
{
  document->expected = document->depth == 0 ? VALUE : AFTER_VALUE;
}

static enum document_step open_container(struct document *document, lua_State *L, bool list)
{
  if (!document_open(document, L, list, document->line, NULL)) return DOCUMENT_ERROR;
  take(document, 1);
  document->expected = list ? FIRST_ITEM : FIRST_KEY;
  return DOCUMENT_GOES_ON;
}

static enum document_step close_container(struct document *document, lua_State *L)
{
  take(document, 1);
  enum document_step step = document_close(document, L);
  after_value(document);
  return step;
}

static enum document_step read_value(struct document *document, lua_State *L, char c)
{
  if (c == '{' || c == '[') return open_container(document, L, c == '[');
  enum document_step step;
  if (c == '"' || c == '\'') {
    const char *bytes;
    size_t size, raw, line = document->line;
    step = read_string(document, &bytes, &size, &raw);
    if (step != DOCUMENT_GOES_ON) return step;
    lua_pushlstring(L, bytes, size);
    take(document, raw);
    step = document_add(document, L, line, size);
  } else {
    step = read_word(document, L);
    if (step == DOCUMENT_MORE) return step;
  }
  after_value(document);
  return step;
}

static enum document_step read_key(struct document *document, lua_State *L, char c)
{
  const char *bytes;
  size_t size, raw;
  if (c != '"' && c != '\'')
    return document_fail(document, 0, 0, "expected a key in quotes, got %c", printable(c));
  enum document_step step = read_string(document, &bytes, &size, &raw);
  if (step != DOCUMENT_GOES_ON) return step;
  if (!document_key(document, L, bytes, size)) return DOCUMENT_ERROR;
  take(document, raw);
  document->expected = COLON;
  return DOCUMENT_GOES_ON;
}

static enum document_step read_separator(struct document *document, lua_State *L, char c)
{
  bool list = document->levels[document->depth - 1].list;
  if (c == (list ? ']' : '}')) return close_container(document, L);
  if (c != ',')
    return document_fail(document, 0, 0, "expected a comma or %c, got %c", list ? ']' : '}',
                         printable(c));
  take(document, 1);
  document->expected = list ? VALUE : KEY;
  return DOCUMENT_GOES_ON;
}

static enum document_step step_json(struct document *document, lua_State *L)
{
  enum document_step step = skip_blanks(document);
  if (step == DOCUMENT_END && document->depth > 0) {
    const struct document_level *level = &document->levels[document->depth - 1];
    return document_fail(document, 0, 0, "the document ends within the %s that begins on line %zu",
                         level->list ? "list" : "object", level->line);
  }
  if (step != DOCUMENT_GOES_ON) return step;
  char c = document->text[document->at];
  int now = document->expected;
  if (now == FIRST_ITEM && c == ']') return close_container(document, L);
  if (now == FIRST_KEY && c == '}') return close_container(document, L);
  if (now == FIRST_KEY || now == KEY) return read_key(document, L, c);
  if (now == AFTER_VALUE) return read_separator(document, L, c);
  if (now != COLON) return read_value(document, L, c);
  if (c != ':') return document_fail(document, 0, 0, "expected a colon, got %c", printable(c));
  take(document, 1);
  document->expected = VALUE;
  return DOCUMENT_GOES_ON;
}

const struct document_parser document_json = {.step = step_json};
