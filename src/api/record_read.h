/* Reads records out of parsed responses: each field under its canonical name, with its type. */
#ifndef PROXYLUA_API_RECORD_READ_H
#define PROXYLUA_API_RECORD_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/record.h"
#include "base/json.h"
#include "base/money.h"

/* What a field of a record is. */
enum record_value_type {
  VALUE_ABSENT,
  VALUE_TEXT,
  VALUE_INTEGER,
  VALUE_MONEY,
  VALUE_OTHER, /* it does not fit the field's type, or the field has none: see `json` */
};

#define RECORD_VALUE_TEXT 40 /* bytes of a text that stands nowhere in the document */

struct record_value {
  enum record_value_type type;
  const struct json_value *json; /* as it came; NULL: absent */
  const char *text;              /* VALUE_TEXT: valid as long as value and document are */
  size_t size;
  int64_t integer;
  money amount;
  const char *fault; /* why it cannot be used ("is empty"), else NULL; only ids and exact texts */
  char own[RECORD_VALUE_TEXT];
};

/* The value of a field under the first of its names that has one; NULL when none does. */
const struct json_value *record_find(const struct json_value *record,
                                     const struct record_field *field);

/* Reads one field (its position in record_fields) of an object, or of an order that is an id alone.
 * `mended`: the document held unpaired surrogates, for which U+FFFD may stand. */
void record_read(const struct json_value *record, enum record_kind kind, int position, bool mended,
                 struct record_value *value);

/* Converts a value of the document to the type of its field. */
void record_convert(const struct json_value *json, enum record_type type, bool mended,
                    struct record_value *value);

typedef void record_visitor(void *arg, const char *name, size_t size,
                            const struct record_value *value);

/* Visits the fields of a record: the canonical ones, then the others as they came, without nulls. A
 * proxy also gets its URL, which the server does not send. Returns NULL, or what makes the record
 * unusable ("is empty") and the field at fault, which is not visited. */
const char *record_visit(const struct json_value *record, enum record_kind kind, bool mended,
                         record_visitor *visit, void *arg, const char **at_fault);

/* The fields without which an object is not a record of its kind. True if it has one of them. */
bool record_has_mark(const struct json_value *record, enum record_kind kind);

/* The text of a field ("9.30", "12", "ord_1"), as valid as `value`; NULL when it is absent, has a
 * fault or is not a scalar. */
const char *record_text(const struct json_value *record, enum record_kind kind, int position,
                        bool mended, struct record_value *value);

#endif
