/* Names, and what charges are for: the parameters of a request, and those stored in the journal as
 * "POST /orders {…}". */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "charge/steps.h"

void charge_hash(const char *text, size_t size, char hex[HEX(32)])
{
  digest_hex(&(struct digest_part){text, size}, 1, hex);
}

const char *charge_name(const struct charge *c)
{
  if (c->request.inquiry) return "an inquiry";
  return c->request.endpoint ? c->request.endpoint->name : c->path;
}

bool charge_is_extension(const struct charge *c)
{
  return c->request.endpoint && c->request.endpoint == endpoint_find("orders.extend");
}

bool charge_read(const struct http_transfer *x, enum record_kind kind, const char *field,
                 char *text, size_t capacity)
{
  return response_field(&x->json, kind, field, text, capacity);
}

bool charge_read_money(const struct http_transfer *x, enum record_kind kind, const char *field,
                       money *amount)
{
  char text[64];
  return charge_read(x, kind, field, text, sizeof text) &&
         money_parse(text, strlen(text), amount) == MONEY_OK;
}

bool charge_read_order(const char *json, const char *field, char *text, size_t capacity)
{
  struct json_document order = {0};
  bool found = json_parse(&order, json, strlen(json)) &&
               response_field(&order, RECORD_ORDER, field, text, capacity);
  json_free(&order);
  return found;
}

bool charge_read_traits(const char *body, struct reconcile_traits *traits)
{
  struct json_document order = {0};
  char text[128];
  bool ok = true;
  if (!json_parse(&order, body, strlen(body))) {
    json_free(&order);
    return true;
  }
  for (int i = 0; i < RECONCILE_TRAITS && ok; i++) {
    if (!response_field(&order, RECORD_ORDER, reconcile_trait_names[i], text, sizeof text))
      continue;
    traits->of[i] = strdup(text);
    ok = traits->of[i];
  }
  json_free(&order);
  return ok;
}

/* The text after the next space, "" when there is none. */
static const char *rest_of(const char *text)
{
  const char *blank = strchr(text, ' ');
  return blank ? blank + 1 : "";
}

bool charge_entry_traits(const struct journal_entry *entry, struct reconcile_traits *traits)
{
  return charge_read_traits(rest_of(rest_of(entry->params)), traits);
}

/* The id in "/orders/ID/extend". */
char *charge_order_in(const char *path)
{
  static const char before[] = "/orders/";
  if (strncmp(path, before, sizeof before - 1) != 0) return NULL;
  path += sizeof before - 1;
  char *plain = curl_easy_unescape(NULL, path, (int)strcspn(path, "/ "), NULL);
  char *id = plain ? strdup(plain) : NULL;
  curl_free(plain);
  return id;
}

char *charge_entry_order(const struct journal_entry *entry)
{
  return strcmp(entry->endpoint, "orders.extend") == 0 ? charge_order_in(rest_of(entry->params))
                                                       : NULL;
}

/* Whether method and path are equal, as far as both are given. */
static size_t target_size(const char *params)
{
  return (size_t)(rest_of(rest_of(params)) - params);
}

bool charge_could_be(const struct charge *c, const struct journal_entry *entry)
{
  if (strcmp(entry->endpoint, charge_name(c)) != 0) return false;
  if (!c->request.endpoint || charge_is_extension(c)) {
    size_t size = target_size(c->params.data);
    return size == target_size(entry->params) && strncmp(c->params.data, entry->params, size) == 0;
  }
  struct reconcile_traits theirs = {{0}};
  bool same = !charge_entry_traits(entry, &theirs) || reconcile_fits(&c->asked, &theirs);
  reconcile_traits_free(&theirs);
  return same;
}
