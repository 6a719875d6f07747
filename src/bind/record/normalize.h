/* The fields of decoded records: from the server's names and types to the canonical ones, in place
 * and in one pass. */
#ifndef PROXYLUA_BIND_RECORD_NORMALIZE_H
#define PROXYLUA_BIND_RECORD_NORMALIZE_H

#include <lua.h>
#include <stdbool.h>

#include "api/record.h"

/* A pass over many records of one kind, with all that it looks up often kept on the stack. */
struct fields {
  enum record_kind kind;
  int names;     /* stack index of the first name; each field's name is followed by its aliases */
  int metatable; /* stack index of money's */
  bool mended;   /* the document held unpaired surrogates: U+FFFD may stand for one */
};

/* Keeps the names for fields_begin. Once a state. */
void fields_open(lua_State *L);

/* Pushes what the pass needs; the caller drops it by lua_settop. */
void fields_begin(lua_State *L, struct fields *fields, enum record_kind kind);

/* Makes the table at an absolute index canonical. Returns true, or pushes what makes it unusable
 * ("id is empty") and returns false; the field at fault is removed then. */
bool fields_convert(lua_State *L, const struct fields *fields, int record);

/* Pushes the canonical value of one field (its position in record_fields) of the table at an
 * absolute index, which does not change, and returns its type; nil when it is absent or an invalid
 * id. */
int fields_get(lua_State *L, const struct fields *fields, int record, int position);

#endif
