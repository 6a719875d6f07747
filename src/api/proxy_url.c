#include "api/proxy_url.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define MAX_EXTRA 48 /* bytes of "http", separators, brackets and port */

size_t proxy_url_most(const struct proxy_url *url)
{
  return url->protocol.size + 3 * (url->username.size + url->password.size + url->host.size) +
         MAX_EXTRA;
}

static char *put(char *to, const char *text, size_t size)
{
  memcpy(to, text, size);
  return to + size;
}

static bool is_letter_or_digit(char c)
{
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static char *put_scheme(char *to, const struct proxy_text *protocol)
{
  bool plain = protocol->size > 0;
  for (size_t i = 0; i < protocol->size && plain; i++)
    plain = is_letter_or_digit(protocol->text[i]);
  if (!plain) return put(to, "http://", 7);
  for (size_t i = 0; i < protocol->size; i++) {
    char c = protocol->text[i];
    *to++ = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  }
  return put(to, "://", 3);
}

static char *put_host(char *to, const struct proxy_url *url)
{
  const struct proxy_text *host = &url->host;
  if (url->host_encoded) return put(to, host->text, host->size);
  bool bare_ipv6 = host->size > 0 && *host->text != '[' && memchr(host->text, ':', host->size);
  if (bare_ipv6) *to++ = '[';
  to = text_put_percent(to, host->text, host->size, "[:]");
  if (bare_ipv6) *to++ = ']';
  return to;
}

char *proxy_url_put(char *to, const struct proxy_url *url)
{
  to = put_scheme(to, &url->protocol);
  if (url->username.size + url->password.size > 0) {
    to = text_put_percent(to, url->username.text, url->username.size, "");
    if (url->password.size > 0) *to++ = ':';
    to = text_put_percent(to, url->password.text, url->password.size, "");
    *to++ = '@';
  }
  to = put_host(to, url);
  return url->port != 0 ? to + sprintf(to, ":%" PRId64, url->port) : to;
}
