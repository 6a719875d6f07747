/* The server's responses as scripts see them: either dialect unwrapped, canonical names and types,
 * exact money. */
#ifndef PROXYLUA_BIND_RECORD_RECORD_H
#define PROXYLUA_BIND_RECORD_RECORD_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/endpoint.h"
#include "base/buffer.h"
#include "base/error.h"

/* Pushes the table {answer, failure, field}: the functions below for Lua. */
void record_open(lua_State *L);

/* Pushes the canonical value of a 2xx response and returns 1, or raises: protocol when it is not
 * what the endpoint promises, the server's own error when it is an error document. Lists are marked
 * as such (json_is_list) and carry page, limit, total and has_more; a record in them that cannot be
 * used carries the reason as `unreadable`. `endpoint` is NULL for a path that the table does not
 * know: unwrapped, and otherwise untouched. */
int record_answer(lua_State *L, const char *body, size_t size, const struct endpoint *endpoint);

/* The same for a list of which page `page` of `limit` records was requested, since the server may
 * not report them. 0: not known. */
int record_answer_page(lua_State *L, const char *body, size_t size, const struct endpoint *endpoint,
                       int64_t page, int64_t limit);

/* Completes an error from the body of the response: sets the code, and appends the server's
 * message. Pushes the details in it, or nil. Does not fail for any body. */
void record_error(lua_State *L, const char *body, size_t size, struct error *err);

/* The same for an error document at an absolute index, in a response of status 200: finds its kind
 * too, upstream where neither a code nor a status in it says what went wrong. */
void record_error_document(lua_State *L, int document, struct error *err);

/* Adds the text of a canonical field of the record in an answer: "9.30", "12", "ord_1". False when
 * the answer is none, is a failure, or has no such field. Never raises; leaves the stack as it was.
 */
bool record_field_text(lua_State *L, const char *body, size_t size, enum record_kind kind,
                       const char *field, struct buffer *text);

/* Visits the records of a list with the texts of the fields that the query names (NULL: absent;
 * valid during the visit). False if the response is not a list, or a visit returned false. Never
 * raises; leaves the stack as it was. */
bool record_list_texts(lua_State *L, const char *body, size_t size,
                       const struct record_query *query, struct record_listing *listing,
                       bool (*visit)(void *arg, const char *const *texts), void *arg);

/* Whether a body is the API's own refusal: a purchase_refusal. Never raises; leaves the stack as it
 * was. */
bool record_is_refusal(lua_State *L, const char *body, size_t size);

#endif
