#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "gateway/state.h"

#define MICROSECONDS 1e6

/* The last "-word-" of a text, or the one at its start; NULL when there is none. */
static const char *find_word(const char *user, size_t size, const char *word)
{
  size_t length = strlen(word);
  for (size_t at = size; at-- > 0;) {
    bool begins = at == 0 || user[at - 1] == '-';
    if (begins && at + length < size && strncasecmp(user + at, word, length) == 0) return user + at;
  }
  return NULL;
}

static bool read_country(const char *text, size_t size, char country[3])
{
  if (size != 2) return false;
  for (int i = 0; i < 2; i++) {
    char c = text[i] & ~0x20;
    if (c < 'A' || c > 'Z') return false;
    country[i] = c;
  }
  country[2] = '\0';
  return true;
}

bool choose_read_user(const char *user, struct user_parts *parts)
{
  size_t size = strlen(user);
  *parts = (struct user_parts){.name_size = size};
  for (int i = 0; i < 2; i++) {
    const char *session = find_word(user, size, "session-"),
               *country = find_word(user, size, "country-");
    if (!session && !country) break;
    bool is_country = country && (!session || country > session);
    const char *at = is_country ? country : session, *value = at + 8;
    size_t length = size - (size_t)(value - user);
    if (is_country ? *parts->country || !read_country(value, length, parts->country)
                   : parts->session_size > 0)
      return false;
    if (!is_country) parts->session = value, parts->session_size = length;
    size = (size_t)(at - user);
    if (size > 0) size--;
  }
  parts->name_size = size;
  return true;
}

static double now(void)
{
  return (double)loop_clock() / MICROSECONDS;
}

/* The session's name; with the strategy sticky, of a client without one. 0: none. */
static size_t write_key(const struct conn *conn, char *key, size_t room)
{
  const char *user = conn->head.credentials ? conn->head.user : "";
  struct user_parts parts;
  choose_read_user(user, &parts);
  int size = 0;
  if (parts.session_size > 0)
    size = snprintf(key, room, "%.*s\n%.*s", (int)parts.name_size, user, (int)parts.session_size,
                    parts.session);
  else if (conn->gateway->options.sticky)
    size = snprintf(key, room, "%.*s\n\n%.*s", (int)parts.name_size, user,
                    (int)strcspn(conn->peer, " "), conn->peer);
  return size < 0 ? 0 : (size_t)size < room ? (size_t)size : room - 1;
}

static void pick(struct conn *conn)
{
  struct gateway *gateway = conn->gateway;
  const struct country *country = list_country(gateway, conn->country);
  struct pool_query query = {.now = now()};
  char key[600];
  const char *url = NULL;
  query.key_size = write_key(conn, key, sizeof key);
  if (query.key_size > 0) query.key = key;
  if (conn->tried) query.tried[query.tried_count++] = conn->tried->url;
  if (gateway->options.strategy == POOL_RANDOM &&
      getrandom(&query.random, sizeof query.random, 0) < 0)
    query.random = (uint64_t)loop_clock();
  bool ok = !country || pool_pick(country->pool, &query, &url);
  struct proxy *proxy = url ? list_find(gateway, url) : NULL;
  if (proxy)
    upstream_start(conn, proxy);
  else if (!ok)
    conn_fail(conn, 503, "proxy_internal_error", "out of memory");
  else if (*conn->country)
    conn_fail(conn, 502, "destination_unavailable", "no proxy of this country is in the list");
  else
    conn_fail(conn, 502, "destination_unavailable", "the list has no proxies");
}

static void refuse_target(struct conn *conn, const char *error, const char *why)
{
  conn->gateway->totals.refused++;
  conn_fail(conn, 403, error, why);
}

/* IPv4 is known to every kind of proxy. */
static void judge_addresses(struct conn *conn, const struct resolver_result *result)
{
  const struct sockaddr_storage *best = NULL;
  for (int i = 0; i < result->count; i++) {
    const struct sockaddr *address = (const struct sockaddr *)&result->address[i];
    const char *why = rules_refuse_address(&conn->gateway->rules, address, conn->head.port);
    if (why) {
      refuse_target(conn, "destination_ip_prohibited", why);
      return;
    }
    if (!best || (best->ss_family != AF_INET && address->sa_family == AF_INET))
      best = &result->address[i];
  }
  if (!best || getnameinfo((const struct sockaddr *)best, sizeof *best, conn->address,
                           sizeof conn->address, NULL, 0, NI_NUMERICHOST) != 0) {
    conn_fail(conn, 502, "dns_error", "the name of the target has no address");
    return;
  }
  pick(conn);
}

static void on_target(void *arg, const struct resolver_result *result)
{
  struct conn *conn = arg;
  conn->query = NULL;
  judge_addresses(conn, result);
  conn_advance(conn);
}

static void look_up_target(struct conn *conn)
{
  struct resolver_result known;
  if (resolver_know(conn->gateway->resolver, conn->head.host, &known)) {
    judge_addresses(conn, &known);
    return;
  }
  conn->state = TARGET;
  conn_wait(conn, conn->gateway->options.timeout);
  conn->query = resolver_ask(conn->gateway->resolver, conn->head.host, on_target, conn);
  if (!conn->query) conn_fail(conn, 503, "proxy_internal_error", "names cannot be looked up");
}

void choose_begin(struct conn *conn)
{
  struct gateway *gateway = conn->gateway;
  const char *why = rules_refuse(&gateway->rules, conn->head.host, conn->head.port);
  gateway->totals.requests++;
  conn->begun = loop_clock();
  if (why)
    refuse_target(conn, "http_request_denied", why);
  else if (gateway->options.resolve_locally)
    look_up_target(conn);
  else
    pick(conn);
}

static void report(struct conn *conn, enum pool_outcome outcome)
{
  struct proxy *proxy = conn->upstream->proxy;
  double latency = (double)(loop_clock() - conn->proxy_begun) / MICROSECONDS;
  const struct country *country;
  proxy->requests++;
  if (outcome == POOL_FAILED) proxy->failures++;
  for (int i = 0; i < 2; i++) {
    const char *code = i == 0 ? "" : proxy->country;
    if (i == 1 && !*code) break;
    country = list_country(conn->gateway, code);
    if (country) pool_report(country->pool, proxy->url, outcome, latency, now());
  }
}

void choose_worked(struct conn *conn)
{
  report(conn, POOL_WORKED);
}

/* A tunnel, or a request without a body that is safe to repeat, of which nothing has come back;
 * and any request that has not left. */
static bool may_repeat(const struct conn *conn)
{
  const struct proxy_head *head = &conn->head;
  if (conn->replied) return false;
  if (!conn->head_sent || head->connect) return true;
  return head->safe && head->length == 0 && !head->chunked && !head->upgrade;
}

void choose_failed(struct conn *conn, const char *error, bool blame, const char *details)
{
  struct upstream *upstream = conn->upstream;
  struct proxy *proxy = upstream->proxy;
  char text[512];
  bool stale = upstream->reused && may_repeat(conn);
  if (!stale) report(conn, blame ? POOL_FAILED : POOL_OTHER);
  snprintf(text, sizeof text, "%s (proxy %s:%d)", details, proxy->host, proxy->port);
  if (stale) { /* the proxy had closed it: no fault of the proxy's */
    conn->fresh = true;
    conn->head_sent = false;
    list_hold(proxy);
    upstream_release(conn, false, false);
    upstream_start(conn, proxy);
    list_release(conn->gateway, proxy);
    return;
  }
  if (conn->tried || !may_repeat(conn) || conn->gateway->totals.proxies < 2) {
    bool late = strstr(error, "timeout") != NULL;
    conn->gateway->totals.failed++;
    conn_fail(conn, late ? 504 : 502, error, text);
    return;
  }
  conn->gateway->totals.retried++;
  conn->tried = proxy;
  conn->retried = true;
  conn->head_sent = false;
  list_hold(proxy);
  upstream_release(conn, false, false);
  pick(conn);
}
