/* Which base URLs the key may travel to. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/client.h"

static bool has_part(CURLU *url, CURLUPart part)
{
  char *text = NULL;
  bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
  curl_free(text);
  return has;
}

static const char *url_fault(CURLU *url, const char *text)
{
  char *scheme = NULL;
  if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK) return "is not a URL";
  if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) return "has no scheme";
  bool https = strcasecmp(scheme, "https") == 0, http = strcasecmp(scheme, "http") == 0;
  curl_free(scheme);
  if (!https && !(http && http_is_loopback(text)))
    return "is neither https nor loopback, and the key would travel in the open";
  if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD)) return "holds credentials";
  if (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT)) return "holds a query or a fragment";
  return NULL;
}

char *client_check_base_url(const char *text, struct error *err)
{
  CURLU *url = curl_url();
  char *copy = url ? strdup(text) : NULL;
  const char *fault = copy ? url_fault(url, text) : NULL;
  curl_url_cleanup(url);
  if (!copy) error_set(err, ERROR_INTERNAL, "out of memory");
  if (fault) {
    error_set(err, ERROR_CONFIG, "the base URL %.200s %s; give one like https://api.1001proxy.io/api/v1", text, fault);
    free(copy);
    copy = NULL;
  }
  for (size_t size = copy ? strlen(copy) : 0; size > 0 && copy[size - 1] == '/'; size--) copy[size - 1] = '\0';
  return copy;
}
