/* --trace FILE: a JSON line for every HTTP request, without bodies or credentials. */
#ifndef PROXYLUA_NET_TRACE_H
#define PROXYLUA_NET_TRACE_H

#include <stddef.h>

#include "base/error.h"
#include "net/http.h"

struct trace;

/* Appends to the file, which is created 0600. `scrub` removes secrets from each line before it is
 * written, in place, and returns the new size; `secret` is its first argument and must outlive the
 * trace. NULL with a config error. */
struct trace *trace_open(const char *path,
                         size_t (*scrub)(const void *secret, char *bytes, size_t size),
                         const void *secret, struct error *err);
void trace_close(struct trace *trace);

/* Writes a line for a finished request. `endpoint` may be NULL. The first failure to write is
 * reported on standard error. */
void trace_transfer(struct trace *trace, const char *endpoint, int attempt,
                    const struct http_transfer *transfer);

#endif
