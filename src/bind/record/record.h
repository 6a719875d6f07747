/* The server's responses as scripts see them: either dialect unwrapped, canonical names and types,
 * exact money. */
#ifndef PROXYLUA_BIND_RECORD_RECORD_H
#define PROXYLUA_BIND_RECORD_RECORD_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#include "api/endpoint.h"
#include "base/error.h"
#include "base/json.h"

/* Pushes the table {answer, failure, field}: the functions below for Lua. */
void record_open(lua_State *L);

/* Pushes a userdata that frees a document when it is collected, and returns the document, zeroed.
 */
struct json_document *record_push_document(lua_State *L);

/* Pushes the canonical value of a 2xx response and returns 1, or raises: protocol when it is not
 * what the endpoint promises, the server's own error when it is an error document. Lists are marked
 * as such (json_is_list) and carry page, limit, total and has_more; a record in them that cannot be
 * used carries the reason as `unreadable`. `endpoint` is NULL for a path that the table does not
 * know: unwrapped, and otherwise untouched. `page` and `limit` are what was asked of a list, since
 * the server may not report them; 0: not known. */
int record_response(lua_State *L, const struct json_document *response,
                    const struct endpoint *endpoint, int64_t page, int64_t limit);

/* Completes an error by the server's words in the response (see response_error), and pushes the
 * details in it, or nil. */
void record_error(lua_State *L, const struct json_document *response, const char *body, size_t size,
                  struct error *err);

#endif
