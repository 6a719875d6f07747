/* Documents that are read piece by piece, in memory that their size does not bound: a parser (JSON
 * or YAML) reports what it meets, and Lua values are built of it.
 *
 * A mapping becomes a table: its fields; its keys in their order at 1 to n; its line at 0. A list
 * becomes a table of its items without a field 0; the line of a scalar item stands at minus its
 * position. Numbers and YAML's scalars are their text; JSON's true and false are booleans; a null
 * is absent in a mapping and false in a list. */
#ifndef PROXYLUA_BIND_DOCUMENT_DOCUMENT_H
#define PROXYLUA_BIND_DOCUMENT_DOCUMENT_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#define DOCUMENT_MAX_DEPTH 64
#define DOCUMENT_MAX_TOKEN ((size_t)1 << 20) /* bytes of a string, a number or a comment */

enum document_step {
  DOCUMENT_MORE, /* the parser needs another piece */
  DOCUMENT_GOES_ON,
  DOCUMENT_VALUE, /* what was built is ready, on top of the stack */
  DOCUMENT_END,
  DOCUMENT_ERROR, /* document_fail has said why */
};

/* A container that is not complete. */
struct document_level {
  bool list;
  lua_Integer count;    /* entries so far */
  lua_Integer passed;   /* of them, handed over already */
  size_t values, bytes; /* held by the document when it began */
  size_t line;
  char anchor[64]; /* "": none */
};

struct document;

struct document_parser {
  /* Takes the next token or event and calls the functions below. */
  enum document_step (*step)(struct document *document, lua_State *L);
  void (*close)(struct document *document);
};

/* A userdata. Its user values: what is built, a list of what stood on the stack; and the values and
 * sizes of anchors. */
struct document {
  const struct document_parser *parser;
  void *state;  /* of the parser */
  int expected; /* of the JSON parser: what may come next */
  char *text;   /* what was fed and not yet taken: from `at` to `size` */
  size_t at, size, capacity;
  bool ended, broken;
  size_t line;   /* of `at`, counted from 1 */
  size_t column; /* bytes of the line before `at` */
  struct document_level levels[DOCUMENT_MAX_DEPTH];
  int sizes[DOCUMENT_MAX_DEPTH]; /* entries of the last mapping of each depth */
  int depth, anchored;           /* open containers; how many of them an anchor holds */
  bool has_key;                  /* of the innermost mapping, on top of the stack */
  bool partial;                  /* the value that is ready is a part of a container that goes on */
  size_t values, bytes;
  char why[256];
  size_t why_line, why_column;
};

/* These build; each returns false after document_fail. Work on the stack of `step`. */
bool document_open(struct document *document, lua_State *L, bool list, size_t line,
                   const char *anchor);
bool document_key(struct document *document, lua_State *L, const char *text, size_t size);
enum document_step document_close(struct document *document, lua_State *L);

/* Adds the value on top, one that was pushed by the parser. */
enum document_step document_add(struct document *document, lua_State *L, size_t line, size_t size);
enum document_step document_add_null(struct document *document, lua_State *L);

/* Names what was added last; adds what has a name. */
void document_name(struct document *document, lua_State *L, const char *anchor, size_t values);
enum document_step document_alias(struct document *document, lua_State *L, const char *anchor,
                                  size_t line, size_t column);

/* Always returns DOCUMENT_ERROR. Lines and columns count from 1; 0: the present place. */
enum document_step document_fail(struct document *document, size_t line, size_t column,
                                 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* document_json.c, yaml.c */
extern const struct document_parser document_json, document_yaml;
/* Makes the state of the YAML parser; false when memory is out. */
bool document_yaml_begin(struct document *document);

#endif
