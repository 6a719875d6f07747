#include "engine/arguments.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/datetime.h"

#define MAX_SECONDS 1e6

static bool check_names(const struct endpoint *endpoint, const struct json_value *given,
                        struct error *err)
{
  for (const struct json_value *field = given->first; field; field = field->next) {
    bool known = endpoint_param_find(endpoint, field->name) != NULL;
    for (int i = 0; !known && endpoint->options[i]; i++)
      known = strcmp(endpoint->options[i], field->name) == 0;
    if (known) continue;
    endpoint_unknown(endpoint, field->name, err);
    return false;
  }
  return true;
}

/* Seconds as a number, or a text with a unit such as "5s". */
static bool read_seconds(const struct endpoint *endpoint, const struct json_value *given,
                         const char *name, double absent, double *seconds, struct error *err)
{
  struct json_number number;
  const struct json_value *value = json_get(given, name);
  *seconds = absent;
  if (!value) return true;
  bool read = value->type == JSON_STRING && duration_parse(value->text, seconds);
  if (value->type == JSON_NUMBER && json_scan_number(value->text, &number) &&
      number.type != JSON_DIGITS) {
    *seconds = number.value;
    read = true;
  }
  if (read && *seconds >= 0 && *seconds <= MAX_SECONDS) return true;
  error_set(err, ERROR_USAGE,
            "%s: %s must be seconds from 0 to 1000000, or a text with a unit such as \"5s\"",
            endpoint->name, name);
  return false;
}

static bool read_key(struct arguments *arguments, const struct endpoint *endpoint,
                     const struct json_value *given, struct error *err)
{
  const struct json_value *value = json_get(given, "key");
  if (!value) return true;
  arguments->key = value->text;
  return endpoint_check_key(endpoint->name, value->type == JSON_STRING ? value->text : "",
                            value->type == JSON_STRING ? value->size : 0, err);
}

static bool read_max_price(struct arguments *arguments, const struct endpoint *endpoint,
                           const struct json_value *given, struct error *err)
{
  const struct json_value *value = json_get(given, "max_price");
  if (!value) return true;
  bool text = value->type == JSON_STRING || value->type == JSON_NUMBER;
  enum money_result result =
      text ? money_parse(value->text, value->size, &arguments->max_price) : MONEY_SYNTAX;
  arguments->has_max_price = true;
  if (result == MONEY_OK && arguments->max_price >= 0) return true;
  error_set(err, ERROR_USAGE, "%s: max_price %s", endpoint->name,
            result == MONEY_OK ? "cannot be negative" : money_explain(result));
  return false;
}

static bool read_path(struct arguments *arguments, const struct endpoint *endpoint,
                      const struct json_value *given, struct error *err)
{
  const struct json_value *path = endpoint->text ? json_get(given, "path") : NULL;
  if (!path) return true;
  if (path->type == JSON_STRING && path->size > 0 && strlen(path->text) == path->size) {
    arguments->request.save_as = path->text;
    return true;
  }
  error_set(err, ERROR_USAGE, "%s: path is the name of a file", endpoint->name);
  return false;
}

static void wrong_type(const struct endpoint *endpoint, const struct endpoint_param *param,
                       const struct json_value *value, struct error *err)
{
  const char *given = value->type == JSON_NUMBER   ? value->text
                      : value->type == JSON_STRING ? "a text"
                      : value->type == JSON_LIST   ? "a list"
                      : value->type == JSON_OBJECT ? "an object"
                      : value->type == JSON_TRUE   ? "true"
                                                   : "false";
  endpoint_wrong_type(endpoint, param, given, err);
}

/* Whether a value fits its parameter; an error when it does not. `integer` receives the digits of
 * an integer as JSON has them. */
static bool check_value(const struct endpoint *endpoint, const struct endpoint_param *param,
                        const struct json_value *value, char integer[32], struct error *err)
{
  struct json_number read;
  bool scalar = value->type == JSON_STRING || value->type == JSON_NUMBER;
  bool whole = scalar && json_scan_number(value->text, &read) == value->text + value->size &&
               read.type == JSON_INTEGER;
  bool fits = param->type == PARAM_INTEGER
                  ? whole
                  : value->type == JSON_STRING || (param->place == PARAM_PATH && whole);
  if (!fits) {
    wrong_type(endpoint, param, value, err);
    return false;
  }
  if (param->type == PARAM_TEXT)
    return endpoint_check_text(endpoint, param, value->text, value->size, err);
  snprintf(integer, 32, "%" PRId64, read.integer);
  return endpoint_check_integer(endpoint, param, read.integer, err);
}

static bool add_values(struct arguments *arguments, const struct endpoint *endpoint,
                       const struct json_value *given, struct error *err)
{
  char integer[32];
  for (const struct endpoint_param *param = endpoint->params; param->name; param++) {
    const struct json_value *value = json_get(given, param->name);
    if (!value && param->required) {
      endpoint_missing(endpoint, param, err);
      return false;
    }
    if (!value) continue;
    if (!check_value(endpoint, param, value, integer, err)) return false;
    bool copied = param->type == PARAM_INTEGER && param->place != PARAM_PATH;
    const char *text = copied ? integer : value->text;
    if (!endpoint_add(&arguments->built, param, text, strlen(text), err)) return false;
  }
  return endpoint_finish(&arguments->built, endpoint, err);
}

/* What the request asks of a list; the defaults are the API's. */
static int64_t asked(const struct json_value *given, const char *name, int64_t absent)
{
  struct json_number number;
  const struct json_value *value = json_get(given, name);
  return value && json_scan_number(value->text, &number) ? number.integer : absent;
}

bool arguments_read(struct arguments *arguments, const struct endpoint *endpoint, const char *json,
                    struct error *err)
{
  struct client_request *request = &arguments->request;
  if (!json_parse(&arguments->json, json ? json : "{}", json ? strlen(json) : 2) ||
      arguments->json.root->type != JSON_OBJECT) {
    error_set(err, ERROR_USAGE, "%s: the parameters must be a JSON object%s%s", endpoint->name,
              *arguments->json.why ? ": " : "", arguments->json.why);
    return false;
  }
  const struct json_value *given = arguments->json.root;
  request->endpoint = endpoint;
  request->kind = endpoint->kind;
  request->order_scope = endpoint->order_scope;
  request->method = endpoint->method;
  if (!check_names(endpoint, given, err) ||
      !read_seconds(endpoint, given, "timeout", 0, &request->timeout, err) ||
      !read_seconds(endpoint, given, "max_wait", -1, &request->max_wait, err) ||
      !read_key(arguments, endpoint, given, err) ||
      !read_max_price(arguments, endpoint, given, err) ||
      !read_path(arguments, endpoint, given, err) || !add_values(arguments, endpoint, given, err))
    return false;
  request->path = arguments->built.path.data;
  request->query = arguments->built.query.data;
  request->body = arguments->built.body.data;
  request->body_size = arguments->built.body.size;
  arguments->page = endpoint->paged ? asked(given, "page", 1) : 0;
  arguments->limit = endpoint->paged ? asked(given, "limit", 20) : 0;
  return true;
}

void arguments_free(struct arguments *arguments)
{
  json_free(&arguments->json);
  endpoint_request_free(&arguments->built);
}
