#include <string.h>

#include "api/endpoint.h"

static bool out_of_memory(struct error *err)
{
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

bool endpoint_check_key(const char *caller, const char *key, size_t size, struct error *err)
{
  bool plain = size > 0 && size <= ENDPOINT_MAX_KEY;
  for (size_t i = 0; plain && i < size; i++) plain = key[i] > ' ' && key[i] < 0x7F;
  if (!plain)
    error_set(err, ERROR_USAGE,
              "%s: key is a text of 1 to %d printable ASCII characters without spaces", caller,
              ENDPOINT_MAX_KEY);
  return plain;
}

static bool add_query(struct buffer *query, const char *name, const char *value)
{
  return buffer_print(query, "%s%s=", query->size ? "&" : "", name) &&
         endpoint_encode(query, value);
}

static bool add_body(struct buffer *body, const struct endpoint_param *param, const char *value,
                     size_t size)
{
  return buffer_print(body, "%c\"%s\":", body->size ? ',' : '{', param->name) &&
         (param->type == PARAM_INTEGER ? buffer_add(body, value, size)
                                       : buffer_add_json(body, value, size));
}

bool endpoint_add(struct endpoint_request *request, const struct endpoint_param *param,
                  const char *value, size_t size, struct error *err)
{
  if (param->place == PARAM_QUERY)
    return add_query(&request->query, param->name, value) || out_of_memory(err);
  if (param->place == PARAM_BODY)
    return add_body(&request->body, param, value, size) || out_of_memory(err);
  if (request->count == ENDPOINT_MAX_VALUES) return out_of_memory(err);
  request->values[request->count++] = (struct endpoint_value){param->name, value};
  return true;
}

bool endpoint_finish(struct endpoint_request *request, const struct endpoint *endpoint,
                     struct error *err)
{
  if (request->body.size > 0 && !buffer_add_text(&request->body, "}")) return out_of_memory(err);
  return endpoint_path(endpoint, request->values, &request->path, err);
}

void endpoint_request_free(struct endpoint_request *request)
{
  buffer_free(&request->path);
  buffer_free(&request->query);
  buffer_free(&request->body);
}
