/* What charges were for: the parameters of a request, and those stored in the journal as "POST
 * /orders {…}". */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "charge/flow.h"

bool flow_read_traits(const char *body, struct reconcile_traits *traits)
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

bool flow_entry_traits(const struct journal_entry *entry, struct reconcile_traits *traits)
{
  return flow_read_traits(rest_of(rest_of(entry->params)), traits);
}

/* The id in "/orders/ID/extend". */
char *flow_order_in(const char *path)
{
  static const char before[] = "/orders/";
  if (strncmp(path, before, sizeof before - 1) != 0) return NULL;
  path += sizeof before - 1;
  char *plain = curl_easy_unescape(NULL, path, (int)strcspn(path, "/ "), NULL);
  char *id = plain ? strdup(plain) : NULL;
  curl_free(plain);
  return id;
}

char *flow_entry_order(const struct journal_entry *entry)
{
  return strcmp(entry->endpoint, "orders.extend") == 0 ? flow_order_in(rest_of(entry->params))
                                                       : NULL;
}

/* Whether method and path are equal, as far as both are given. */
static size_t target_size(const char *params)
{
  return (size_t)(rest_of(rest_of(params)) - params);
}

bool flow_could_be(const struct flow *charge, const struct journal_entry *entry)
{
  if (strcmp(entry->endpoint, flow_name(charge)) != 0) return false;
  if (!charge->request.endpoint || flow_is_extension(charge)) {
    size_t size = target_size(charge->params.data);
    return size == target_size(entry->params) &&
           strncmp(charge->params.data, entry->params, size) == 0;
  }
  struct reconcile_traits theirs = {{0}};
  bool same = !flow_entry_traits(entry, &theirs) || reconcile_fits(&charge->asked, &theirs);
  reconcile_traits_free(&theirs);
  return same;
}
