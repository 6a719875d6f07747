/* --trace FILE: a JSON line for every exchange, without bodies or credentials. */
#ifndef PROXYLUA_TRACE_H
#define PROXYLUA_TRACE_H

#include "core/error.h"
#include "core/http.h"
#include "core/secret.h"

struct trace;

/* Appends to the file, made 0600 when it is new. NULL with a config error. */
struct trace *trace_open(const char *path, const struct secret *key, struct error *err);
void trace_close(struct trace *trace);

/* Writes down a finished exchange. `endpoint` may be NULL. The first failure to write is told on standard error, once. */
void trace_exchange(struct trace *trace, const char *endpoint, int attempt, const struct http_exchange *exchange);

#endif
