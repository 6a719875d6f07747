/* What a parsed response of the API holds, in either dialect: the fields of its record or records,
 * or the server's own words about an error. */
#ifndef PROXYLUA_API_RESPONSE_H
#define PROXYLUA_API_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/endpoint.h"
#include "api/record.h"
#include "api/unwrap.h"
#include "base/error.h"
#include "base/json.h"

/* Copies the text of a canonical field of the record that a response has ("9.30", "12", "ord_1").
 * False when the response is not JSON, is a failure, has no such field, or the text is too long. */
bool response_field(const struct json_document *response, enum record_kind kind, const char *field,
                    char *text, size_t capacity);

/* Visits the records of a list with the texts of the fields that the query names (NULL: absent;
 * valid during the visit). False if the response is not a list, or a visit returned false. */
bool response_list(const struct json_document *response, const struct record_query *query,
                   struct record_listing *listing,
                   bool (*visit)(void *arg, const char *const *texts), void *arg);

/* Whether a response is the API's own refusal: an object with "success": false, or with an error
 * that is not null and without an order id. An error page of a gateway is not a refusal. */
bool response_is_refusal(const struct json_document *response);

/* What a response of a 2xx status is about. */
struct response_content {
  enum {
    RESPONSE_ANY,    /* any value; NULL: nothing */
    RESPONSE_LIST,   /* a list: of objects where the kind has fields, else of anything */
    RESPONSE_RECORD, /* an object, or an order's id alone */
  } what;
  enum record_kind kind;
  const struct json_value *value;
  const struct json_value *details; /* of an error document, or NULL */
  struct page page;                 /* of a list; has_more negative: not to be reported */
};

/* Finds the content of a response. `endpoint` is NULL for a path that the table does not know;
 * `page` and `limit` are what was asked of a list, 0: not known. False with an error of kind
 * protocol when it is not what the endpoint promises; with the server's own error when it is an
 * error document. */
bool response_read(const struct json_document *response, const struct endpoint *endpoint,
                   int64_t page, int64_t limit, struct response_content *content,
                   struct error *err);

/* Sets the error of a response that is not what the endpoint promises: what came in its place ("a
 * text"). */
void response_unexpected(const struct endpoint *endpoint, const char *came, struct error *err);

/* Completes an error from the response to a request: sets the code, and appends the server's
 * message. `body` is the text of the response, for one that is not JSON. Returns the details in it,
 * or NULL. */
const struct json_value *response_error(const struct json_document *response, const char *body,
                                        size_t size, struct error *err);

/* The same for an error document in a response of status 200: finds its kind too, upstream where
 * neither a code nor a status in it says what went wrong. */
const struct json_value *response_error_document(const struct json_value *document,
                                                 struct error *err);

#endif
