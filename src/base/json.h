/* JSON documents as trees: parsed once, from one copy of the text. Strings are decoded, numbers
 * keep their digits, the fields of an object keep their order.
 *
 * The text is read as far as possible: a byte order mark is skipped, an unpaired surrogate becomes
 * U+FFFD, and bytes in strings are taken as they are. Everything else is the grammar of RFC 8259,
 * with at most JSON_MAX_DEPTH levels and no NUL byte outside of escapes. */
#ifndef PROXYLUA_BASE_JSON_H
#define PROXYLUA_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 128
#define JSON_MAX_SIZE ((size_t)1 << 30) /* bytes of a document */
#define JSON_MAX_VALUES ((size_t)1 << 23)

enum json_type {
  JSON_NULL,
  JSON_FALSE,
  JSON_TRUE,
  JSON_NUMBER,
  JSON_STRING,
  JSON_LIST,
  JSON_OBJECT,
};

struct json_value {
  enum json_type type;
  size_t count;                   /* items of a list, fields of an object */
  const struct json_value *first; /* of them */
  const struct json_value *next;  /* the next item or field of the same list or object */
  const char *name;               /* of a field, followed by a NUL; else NULL */
  const char *text;               /* of a string or a number, followed by a NUL */
  uint32_t name_size, size;       /* bytes */
};

struct json_chunk;

/* Zeroed: nothing was parsed. */
struct json_document {
  const struct json_value *root; /* NULL: the text is not JSON */
  bool mended;                   /* unpaired surrogates were read as U+FFFD */
  char why[96];              /* why the text is not JSON; "" when it is empty, or memory is out */
  char *text;                /* the copy that the values point into */
  struct json_chunk *chunks; /* of values */
};

/* Parses a text into a zeroed document. False when it is not JSON, or memory is out. End the
 * document with json_free in both cases. */
bool json_parse(struct json_document *document, const char *text, size_t size);

/* Frees what the document holds; it is zeroed. */
void json_free(struct json_document *document);

/* The field of an object, the last one if several have this name; NULL when it is absent, or the
 * value is not an object. */
const struct json_value *json_field(const struct json_value *object, const char *name);

/* The same, but NULL for a null as well. */
const struct json_value *json_get(const struct json_value *object, const char *name);

/* What a number is. */
enum json_number_type {
  JSON_INTEGER, /* an integer of up to 15 digits */
  JSON_DOUBLE,
  JSON_DIGITS, /* more than 15 significant digits, which no double surely keeps */
};

struct json_number {
  enum json_number_type type;
  int64_t integer; /* of JSON_INTEGER */
  double value;    /* of JSON_INTEGER and JSON_DOUBLE */
};

/* Reads a number at `text` and returns the first byte after it; NULL when there is none, or one
 * that exceeds a double. */
const char *json_scan_number(const char *text, struct json_number *number);

/* The text of a string or a number as a person writes it: "ord_1", "12", "9.3". `number` receives
 * that of a number. NULL for other types. */
const char *json_text(const struct json_value *value, char number[32], size_t *size);

#endif
