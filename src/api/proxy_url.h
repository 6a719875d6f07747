/* URLs of proxies: "http://user:pass@203.0.113.7:8080". */
#ifndef PROXYLUA_API_PROXY_URL_H
#define PROXYLUA_API_PROXY_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proxy_text {
  const char *text; /* not read where size is 0 */
  size_t size;
};

struct proxy_url {
  struct proxy_text protocol; /* in any case; "http" if it cannot be a scheme ("HTTP/SOCKS5") */
  struct proxy_text username, password;
  struct proxy_text host;
  bool host_encoded; /* the host is as in a URL already */
  int64_t port;      /* 0: none */
};

/* Bytes that the URL needs at most. */
size_t proxy_url_most(const struct proxy_url *url);

/* Writes the URL, without a NUL, and returns its end. */
char *proxy_url_put(char *to, const struct proxy_url *url);

#endif
