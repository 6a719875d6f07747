/* Which base URLs the key may travel to. */
#include "net/url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/curl_library.h"
#include "net/http.h"

/* Accepted without libcurl: it takes longer to open than a short script runs. */
static const char default_base[] = "https://api.1001proxy.io/api/v1";

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
  if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
    return "holds credentials";
  if (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT))
    return "holds a query or a fragment";
  return NULL;
}

static void lower(char *text)
{
  for (; *text; text++)
    if (*text >= 'A' && *text <= 'Z') *text = (char)(*text - 'A' + 'a');
}

static char *part(CURLU *url, CURLUPart which)
{
  char *text = NULL;
  return curl_url_get(url, which, &text, CURLU_NO_DEFAULT_PORT) == CURLUE_OK ? text : NULL;
}

/* One spelling for all of them, since limits and journal are kept by it: scheme and host in lower
 * case, no default port, no slash at the end; libcurl has resolved the dots. */
static char *spell(CURLU *url)
{
  char *scheme = part(url, CURLUPART_SCHEME), *host = part(url, CURLUPART_HOST),
       *port = part(url, CURLUPART_PORT);
  char *path = part(url, CURLUPART_PATH), *text = NULL;
  bool ok = scheme && host && path;
  if (ok) {
    lower(scheme);
    lower(host);
    ok = asprintf(&text, "%s://%s%s%s%s", scheme, host, port ? ":" : "", port ? port : "", path) >=
         0;
  }
  curl_free(scheme);
  curl_free(host);
  curl_free(port);
  curl_free(path);
  for (size_t size = ok ? strlen(text) : 0; size > 0 && text[size - 1] == '/'; size--)
    text[size - 1] = '\0';
  return ok ? text : NULL;
}

char *url_check_base(const char *text, struct error *err)
{
  bool is_default = strcmp(text, default_base) == 0;
  if (!is_default && !curl_library_open(err)) return NULL;
  CURLU *url = is_default ? NULL : curl_url();
  const char *fault = url ? url_fault(url, text) : NULL;
  char *spelled = is_default ? strdup(text) : url && !fault ? spell(url) : NULL;
  if (url) curl_url_cleanup(url);
  if (fault)
    error_set(err, ERROR_CONFIG, "the base URL %.200s %s; give one like %s", text, fault,
              default_base);
  else if (!spelled)
    error_set(err, ERROR_INTERNAL, "out of memory");
  return spelled;
}
