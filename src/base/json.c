#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define MAX_NUMBER 15  /* significant digits that a double surely keeps */
#define FIRST_CHUNK 32 /* values */
#define LARGEST_CHUNK 16384

struct json_chunk {
  struct json_chunk *next;
  size_t count, capacity;
  struct json_value values[];
};

/* A list or an object that is not complete, and its last item or field. */
struct level {
  struct json_value *value, *last;
};

struct parser {
  struct json_document *document;
  char *at, *begin; /* the text is decoded in place: a decoded string is never longer */
  size_t values;
  struct level levels[JSON_MAX_DEPTH];
  int depth;
};

static bool fail(struct parser *parser, const char *expected)
{
  const char *found = *parser->at == '\0' ? "the end" : "something else";
  snprintf(parser->document->why, sizeof parser->document->why,
           "expected %s but found %s at character %zu", expected, found,
           (size_t)(parser->at - parser->begin) + 1);
  return false;
}

static void skip_blanks(struct parser *parser)
{
  while (*parser->at == ' ' || *parser->at == '\t' || *parser->at == '\r' || *parser->at == '\n')
    parser->at++;
}

/* A new value of the innermost container, or the root. NULL when memory is out. */
static struct json_value *add_value(struct parser *parser)
{
  struct json_document *document = parser->document;
  struct json_chunk *chunk = document->chunks;
  if (++parser->values > JSON_MAX_VALUES) {
    snprintf(document->why, sizeof document->why, "more than %zu values", JSON_MAX_VALUES);
    return NULL;
  }
  if (!chunk || chunk->count == chunk->capacity) {
    size_t capacity = chunk ? chunk->capacity * 4 : FIRST_CHUNK;
    if (capacity > LARGEST_CHUNK) capacity = LARGEST_CHUNK;
    chunk = malloc(sizeof *chunk + capacity * sizeof chunk->values[0]);
    if (!chunk) return NULL;
    *chunk = (struct json_chunk){.next = document->chunks, .capacity = capacity};
    document->chunks = chunk;
  }
  struct json_value *value = &chunk->values[chunk->count++];
  *value = (struct json_value){0};
  if (parser->depth == 0) {
    document->root = value;
    return value;
  }
  struct level *level = &parser->levels[parser->depth - 1];
  if (level->last)
    level->last->next = value;
  else
    level->value->first = value;
  level->value->count++;
  level->last = value;
  return value;
}

/* Decodes the \u escape at `parser->at`, with the one after it if both are one character. */
static char *read_unicode(struct parser *parser, char *to)
{
  int unit = text_escaped_unit(parser->at);
  if (unit < 0) return NULL;
  parser->at += 6;
  if (unit < 0xD800 || unit > 0xDFFF) return text_put_utf8(to, (unsigned)unit);
  int low = unit < 0xDC00 ? text_escaped_unit(parser->at) : -1;
  if (low >= 0xDC00 && low <= 0xDFFF) {
    parser->at += 6;
    return text_put_utf8(to, text_of_pair((unsigned)unit, (unsigned)low));
  }
  parser->document->mended = true;
  return text_put_utf8(to, 0xFFFD);
}

static char *read_escape(struct parser *parser, char *to)
{
  static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  char escape = parser->at[1];
  if (escape == 'u') return read_unicode(parser, to);
  const char *name = escape ? strchr(names, escape) : NULL;
  if (!name) return NULL;
  *to++ = meanings[name - names];
  parser->at += 2;
  return to;
}

/* Decodes the string whose quote is at `parser->at`. */
static bool read_string(struct parser *parser, const char **text, uint32_t *size)
{
  char *to = ++parser->at;
  *text = to;
  for (;;) {
    size_t plain = strcspn(parser->at, "\"\\");
    if (to != parser->at) memmove(to, parser->at, plain);
    to += plain;
    parser->at += plain;
    if (*parser->at != '\\') break;
    to = read_escape(parser, to);
    if (!to) return fail(parser, "an escape such as \\n or \\u00e4");
  }
  if (*parser->at == '\0') return fail(parser, "the end of a string");
  parser->at++;
  *to = '\0';
  *size = (uint32_t)(to - *text);
  return true;
}

static bool read_word(struct parser *parser, struct json_value *value)
{
  static const struct {
    const char *word;
    enum json_type type;
  } words[] = {{"null", JSON_NULL}, {"false", JSON_FALSE}, {"true", JSON_TRUE}};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    size_t size = strlen(words[i].word);
    if (strncmp(parser->at, words[i].word, size) != 0) continue;
    value->type = words[i].type;
    parser->at += size;
    return true;
  }
  return fail(parser, "a value");
}

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

/* Reads any value but a list or an object. */
static bool read_scalar(struct parser *parser, struct json_value *value)
{
  if (*parser->at == '"') {
    value->type = JSON_STRING;
    return read_string(parser, &value->text, &value->size);
  }
  if (*parser->at != '-' && !is_digit(*parser->at)) return read_word(parser, value);
  struct json_number number;
  const char *end = json_scan_number(parser->at, &number);
  if (!end) return fail(parser, "a number within the range of a double");
  value->type = JSON_NUMBER;
  value->text = parser->at;
  value->size = (uint32_t)(end - parser->at);
  parser->at += value->size;
  return true;
}

static bool open_container(struct parser *parser, struct json_value *value)
{
  if (parser->depth == JSON_MAX_DEPTH) {
    snprintf(parser->document->why, sizeof parser->document->why,
             "more than %d levels of nesting at character %zu", JSON_MAX_DEPTH,
             (size_t)(parser->at - parser->begin) + 1);
    return false;
  }
  value->type = *parser->at++ == '{' ? JSON_OBJECT : JSON_LIST;
  parser->levels[parser->depth++] = (struct level){.value = value};
  return true;
}

static bool is_closing(const struct parser *parser)
{
  enum json_type type = parser->levels[parser->depth - 1].value->type;
  return *parser->at == (type == JSON_OBJECT ? '}' : ']');
}

/* Reads the name of a field and the colon; `name` is NULL in a list. */
static bool read_name(struct parser *parser, const char **name, uint32_t *size)
{
  *name = NULL;
  if (parser->depth == 0 || parser->levels[parser->depth - 1].value->type == JSON_LIST) return true;
  if (*parser->at != '"') return fail(parser, "a key in quotes");
  if (!read_string(parser, name, size)) return false;
  skip_blanks(parser);
  if (*parser->at != ':') return fail(parser, "':'");
  parser->at++;
  skip_blanks(parser);
  return true;
}

/* After a value: closes what ends here. False when the text goes wrong; at depth 0 all is read. */
static bool read_separators(struct parser *parser)
{
  for (skip_blanks(parser); parser->depth > 0 && is_closing(parser); skip_blanks(parser)) {
    parser->at++;
    parser->depth--;
  }
  if (parser->depth == 0) return true;
  if (*parser->at != ',') {
    bool list = parser->levels[parser->depth - 1].value->type == JSON_LIST;
    return fail(parser, list ? "',' or ']'" : "',' or '}'");
  }
  parser->at++;
  skip_blanks(parser);
  return true;
}

static bool read_values(struct parser *parser)
{
  do {
    const char *name;
    uint32_t name_size = 0;
    if (!read_name(parser, &name, &name_size)) return false;
    struct json_value *value = add_value(parser);
    if (!value) return false;
    value->name = name;
    value->name_size = name_size;
    if (*parser->at == '{' || *parser->at == '[') {
      if (!open_container(parser, value)) return false;
      skip_blanks(parser);
      if (!is_closing(parser)) continue;
    } else if (!read_scalar(parser, value)) {
      return false;
    }
    char *end = value->type == JSON_NUMBER ? parser->at : NULL;
    if (!read_separators(parser)) return false;
    if (end) *end = '\0'; /* what stood there has been read */
  } while (parser->depth > 0);
  return *parser->at == '\0' || fail(parser, "the end");
}

bool json_parse(struct json_document *document, const char *text, size_t size)
{
  static const char mark[] = "\xEF\xBB\xBF";
  if (size == 0) return false;
  if (size >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0) {
    text += strlen(mark);
    size -= strlen(mark);
  }
  if (size > JSON_MAX_SIZE) {
    snprintf(document->why, sizeof document->why, "longer than %zu MiB", JSON_MAX_SIZE >> 20);
    return false;
  }
  const char *nul = memchr(text, '\0', size);
  if (nul) {
    snprintf(document->why, sizeof document->why, "a NUL byte at character %zu",
             (size_t)(nul - text) + 1);
    return false;
  }
  document->text = malloc(size + 1);
  if (!document->text) return false;
  memcpy(document->text, text, size);
  document->text[size] = '\0';
  struct parser parser = {.document = document, .at = document->text, .begin = document->text};
  skip_blanks(&parser);
  bool ok = read_values(&parser);
  if (!ok) document->root = NULL;
  return ok;
}

void json_free(struct json_document *document)
{
  while (document->chunks) {
    struct json_chunk *chunk = document->chunks;
    document->chunks = chunk->next;
    free(chunk);
  }
  free(document->text);
  *document = (struct json_document){0};
}

const struct json_value *json_field(const struct json_value *object, const char *name)
{
  const struct json_value *found = NULL;
  if (!object || object->type != JSON_OBJECT) return NULL;
  size_t size = strlen(name);
  for (const struct json_value *field = object->first; field; field = field->next)
    if (field->name_size == size && memcmp(field->name, name, size) == 0) found = field;
  return found;
}

const struct json_value *json_get(const struct json_value *object, const char *name)
{
  const struct json_value *field = json_field(object, name);
  return field && field->type != JSON_NULL ? field : NULL;
}

struct digits {
  uint64_t value; /* without the decimal point; meaningless beyond 19 digits */
  int count;      /* from the first that is not zero */
};

static const char *read_digits(const char *text, struct digits *digits)
{
  for (; is_digit(*text); text++) {
    digits->value = digits->value * 10 + (uint64_t)(*text - '0');
    if (digits->value != 0 || digits->count > 0) digits->count++;
  }
  return text;
}

/* [eE][+-]digits, clamped to what no double reaches; NULL when the digits are missing. */
static const char *read_exponent(const char *text, int *exponent)
{
  bool negative = *++text == '-';
  if (*text == '-' || *text == '+') text++;
  if (!is_digit(*text)) return NULL;
  for (; is_digit(*text); text++)
    if (*exponent < 100000) *exponent = *exponent * 10 + (*text - '0');
  if (negative) *exponent = -*exponent;
  return text;
}

/* digits * 10^exponent, to the nearest. Up to 10^22 powers of ten are exact; text without a decimal
 * point means the same in every locale. */
static double to_double(uint64_t digits, int exponent)
{
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (exponent == 0) return (double)digits;
  if (exponent < 0 && exponent >= -22) return (double)digits / powers[-exponent];
  if (exponent > 0 && exponent <= 22) return (double)digits * powers[exponent];
  char text[48];
  snprintf(text, sizeof text, "%" PRIu64 "e%d", digits, exponent);
  return strtod(text, NULL);
}

/* Reads by JSON's own grammar, which strtod does not keep to. */
const char *json_scan_number(const char *text, struct json_number *number)
{
  struct digits digits = {0};
  int exponent = 0;
  bool negative = *text == '-';
  const char *start = text + negative, *at = read_digits(start, &digits);
  if (at == start || (*start == '0' && at > start + 1)) return NULL;
  const char *point = at;
  if (*point == '.') {
    at = read_digits(point + 1, &digits);
    if (at == point + 1) return NULL;
  }
  int decimals = *point == '.' ? (int)(at - point - 1) : 0;
  if ((*at == 'e' || *at == 'E') && !(at = read_exponent(at, &exponent))) return NULL;
  *number = (struct json_number){.type = JSON_DIGITS};
  if (digits.count > MAX_NUMBER) return at;
  double value = to_double(digits.value, exponent - decimals);
  if (isinf(value)) return NULL;
  number->value = negative ? -value : value;
  number->type = JSON_DOUBLE;
  if (value < 1e15 && (double)(int64_t)value == value) {
    number->type = JSON_INTEGER;
    number->integer = (int64_t)number->value;
  }
  return at;
}

const char *json_text(const struct json_value *value, char number[32], size_t *size)
{
  struct json_number read;
  *size = value->size;
  if (value->type == JSON_STRING) return value->text;
  if (value->type != JSON_NUMBER || !json_scan_number(value->text, &read)) return NULL;
  if (read.type == JSON_DIGITS) return value->text;
  int length = read.type == JSON_INTEGER ? snprintf(number, 32, "%" PRId64, read.integer)
                                         : snprintf(number, 32, "%.14g", read.value);
  *size = length > 0 ? (size_t)length : 0;
  return number;
}
