#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/state.h"

static void free_proxy(struct proxy *proxy)
{
  free(proxy->url);
  free(proxy->host);
  free(proxy->label);
  free(proxy->user);
  free(proxy->password);
  free(proxy->basic);
  free(proxy);
}

void list_hold(struct proxy *proxy)
{
  proxy->held++;
}

void list_release(struct gateway *gateway, struct proxy *proxy)
{
  (void)gateway;
  if (--proxy->held == 0 && !proxy->listed) free_proxy(proxy);
}

struct country *list_country(const struct gateway *gateway, const char *code)
{
  struct country *country;
  HASH_FIND_STR(gateway->countries, code, country);
  return country;
}

struct proxy *list_find(const struct gateway *gateway, const char *url)
{
  struct proxy *proxy;
  HASH_FIND_STR(gateway->proxies, url, proxy);
  return proxy;
}

static struct country *need_country(struct gateway *gateway, const char *code)
{
  struct country *country = list_country(gateway, code);
  if (country) return country;
  country = calloc(1, sizeof *country);
  if (!country) return NULL;
  snprintf(country->code, sizeof country->code, "%s", code);
  country->pool = pool_new(gateway->options.strategy, gateway->options.quarantine);
  if (country->pool) HASH_ADD_STR(gateway->countries, code, country);
  if (country->pool && country->hh.tbl) return country;
  pool_free(country->pool);
  free(country);
  return NULL;
}

static void encode64(const unsigned char *bytes, size_t size, char *out)
{
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t at = 0; at < size; at += 3, out += 4) {
    size_t count = size - at < 3 ? size - at : 3;
    unsigned bits = (unsigned)bytes[at] << 16;
    if (count > 1) bits |= (unsigned)bytes[at + 1] << 8;
    if (count > 2) bits |= bytes[at + 2];
    for (size_t i = 0; i < 4; i++) out[i] = i <= count ? letters[bits >> (18 - 6 * i) & 63] : '=';
  }
  *out = '\0';
}

/* The value of Proxy-Authorization. */
static char *encode_login(const char *user, const char *password)
{
  static const char scheme[] = "Basic ";
  char *plain = NULL;
  int size = asprintf(&plain, "%s:%s", user, password ? password : "");
  char *text = size < 0 ? NULL : malloc(sizeof scheme + ((size_t)size + 2) / 3 * 4);
  if (text) {
    memcpy(text, scheme, sizeof scheme);
    encode64((const unsigned char *)plain, (size_t)size, text + sizeof scheme - 1);
  }
  if (size >= 0) free(plain);
  return text;
}

static char *make_label(const struct gateway_proxy *from)
{
  static const char *const names[] = {"http", "https", "socks4", "socks4a", "socks5"};
  char *label = NULL;
  bool six = strchr(from->host, ':') != NULL;
  int size =
      asprintf(&label, "%s://%s%s%s%s%s:%d", names[from->protocol], from->user ? from->user : "",
               from->user ? "@" : "", six ? "[" : "", from->host, six ? "]" : "", from->port);
  return size < 0 ? NULL : label;
}

static struct proxy *make_proxy(const struct gateway_proxy *from)
{
  struct proxy *proxy = calloc(1, sizeof *proxy);
  if (!proxy) return NULL;
  proxy->url = strdup(from->url);
  proxy->host = strdup(from->host);
  proxy->label = make_label(from);
  proxy->user = from->user ? strdup(from->user) : NULL;
  proxy->password = from->password ? strdup(from->password) : NULL;
  proxy->basic = from->user ? encode_login(from->user, from->password) : NULL;
  proxy->protocol = from->protocol;
  proxy->port = from->port;
  bool ok = proxy->url && proxy->host && proxy->label;
  if (from->user) ok = ok && proxy->user && proxy->basic;
  if (from->password) ok = ok && proxy->password;
  if (ok) return proxy;
  free_proxy(proxy);
  return NULL;
}

void gateway_begin_list(struct gateway *gateway)
{
  gateway->list++;
}

static bool join_country(struct gateway *gateway, struct proxy *proxy)
{
  struct country *country = need_country(gateway, proxy->country);
  return country && pool_add(country->pool, proxy->url) != POOL_NO_MEMORY;
}

static void leave_country(struct gateway *gateway, const struct proxy *proxy)
{
  struct country *country = list_country(gateway, proxy->country);
  if (country) pool_remove(country->pool, proxy->url);
}

bool gateway_put(struct gateway *gateway, const struct gateway_proxy *from)
{
  struct proxy *proxy = list_find(gateway, from->url);
  const char *code = from->country ? from->country : "";
  if (!proxy) {
    struct country *all = need_country(gateway, "");
    proxy = all ? make_proxy(from) : NULL;
    if (!proxy) return false;
    HASH_ADD_KEYPTR(hh, gateway->proxies, proxy->url, strlen(proxy->url), proxy);
    if (!proxy->hh.tbl || pool_add(all->pool, proxy->url) == POOL_NO_MEMORY) {
      if (proxy->hh.tbl) HASH_DEL(gateway->proxies, proxy);
      free_proxy(proxy);
      return false;
    }
    proxy->listed = true;
    gateway->totals.proxies++;
  }
  proxy->list = gateway->list;
  if (strcmp(proxy->country, code) == 0) return true;
  if (*proxy->country) leave_country(gateway, proxy);
  snprintf(proxy->country, sizeof proxy->country, "%.2s", code);
  return !*proxy->country || join_country(gateway, proxy);
}

static void drop(struct gateway *gateway, struct proxy *proxy)
{
  struct country *all = list_country(gateway, "");
  pool_remove(all->pool, proxy->url);
  if (*proxy->country) leave_country(gateway, proxy);
  HASH_DEL(gateway->proxies, proxy);
  gateway->totals.proxies--;
  proxy->listed = false;
  if (proxy->held == 0) free_proxy(proxy);
}

void gateway_end_list(struct gateway *gateway)
{
  struct proxy *proxy, *following;
  HASH_ITER(hh, gateway->proxies, proxy, following)
  if (proxy->list != gateway->list) drop(gateway, proxy);
}

void list_free(struct gateway *gateway)
{
  struct country *country, *following;
  gateway_begin_list(gateway);
  gateway_end_list(gateway);
  HASH_ITER(hh, gateway->countries, country, following)
  {
    HASH_DEL(gateway->countries, country);
    pool_free(country->pool);
    free(country);
  }
}
