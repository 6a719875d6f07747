/* What a parsed response of the API holds, in either dialect: the fields of its record or records,
 * or the server's own words about an error. */
#ifndef PROXYLUA_API_RESPONSE_H
#define PROXYLUA_API_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/record.h"
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
