/* URLs, parsed once for all requests to the same one. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/http_private.h"

void target_drop(struct http_target *target)
{
  if (!target || --target->holders > 0) return;
  curl_url_cleanup(target->url);
  free(target->text);
  free(target);
}

static bool host_is_loopback(const char *host)
{
  struct in_addr four;
  if (inet_pton(AF_INET, host, &four) == 1) return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
  size_t size = strlen(host);
  return strcmp(host, "[::1]") == 0 || strcasecmp(host, "localhost") == 0 ||
         (size > 10 && strcasecmp(host + size - 10, ".localhost") == 0);
}

static bool url_is_loopback(CURLU *url)
{
  char *host = NULL;
  if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK) return false;
  bool loopback = host_is_loopback(host);
  curl_free(host);
  return loopback;
}

bool http_is_loopback(const char *url)
{
  CURLU *parsed = curl_url();
  bool loopback =
      parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK && url_is_loopback(parsed);
  curl_url_cleanup(parsed);
  return loopback;
}

struct http_target *target_parse(const char *text, struct error *err)
{
  struct http_target *target = calloc(1, sizeof *target);
  CURLUcode code = CURLUE_OUT_OF_MEMORY;
  if (target) {
    target->holders = 1;
    target->url = curl_url();
    target->text = strdup(text);
    if (target->url && target->text) code = curl_url_set(target->url, CURLUPART_URL, text, 0);
  }
  if (code == CURLUE_OK) {
    target->loopback = url_is_loopback(target->url);
    return target;
  }
  error_set(err, code == CURLUE_OUT_OF_MEMORY ? ERROR_INTERNAL : ERROR_USAGE,
            "cannot read the URL %.200s: %s", text, curl_url_strerror(code));
  target_drop(target);
  return NULL;
}
