/* Results as JSON: the records of a response under their canonical names, the state of the limits,
 * entries of the journal. */
#ifndef PROXYLUA_ENGINE_RESULT_H
#define PROXYLUA_ENGINE_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "api/response.h"
#include "base/buffer.h"
#include "charge/journal.h"
#include "limits/limiter.h"

/* Writes what a response of a 2xx status holds. False with the errors of response_read, or of kind
 * internal when memory is out. */
bool result_write(const struct json_document *response, const struct endpoint *endpoint,
                  int64_t page, int64_t limit, struct buffer *out, struct error *err);

/* False when memory is out. */
bool result_write_limits(const struct limiter_status *status, struct buffer *out);
bool result_write_journal(const struct journal_list *list, struct buffer *out);

#endif
