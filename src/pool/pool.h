/* Picks one of many proxies for each request, puts failing ones into quarantine for a while, and
 * keeps the proxy of a session while it works. It opens no connection. A pick, a report and a
 * change of the list take at most logarithmic time in the number of proxies.
 *
 * Times are seconds of a clock that is never set back. Proxies are known by their URLs, so that a
 * caller holds no pointer to one that may be removed meanwhile. */
#ifndef PROXYLUA_POOL_POOL_H
#define PROXYLUA_POOL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_MAX_TRIED 8
#define POOL_MAX_SESSIONS 1000000 /* beyond these the least recently used one is dropped */

enum pool_strategy {
  POOL_ROUND_ROBIN,   /* the proxy that was picked longest ago */
  POOL_RANDOM,        /* any, each with the same chance */
  POOL_LEAST_LATENCY, /* the fastest one; without a measurement first */
};

enum pool_outcome {
  POOL_WORKED, /* ends a quarantine */
  POOL_FAILED, /* begins one */
  POOL_OTHER,  /* says nothing about the proxy, such as an error of the website */
};

struct pool;

/* `quarantine`: seconds for which a proxy that failed is set aside. NULL when memory is out. */
struct pool *pool_new(enum pool_strategy strategy, double quarantine);
void pool_free(struct pool *pool);

enum pool_change { POOL_CHANGED, POOL_UNCHANGED, POOL_NO_MEMORY };

/* Adds a proxy at the end of the list; POOL_UNCHANGED when it is there already. */
enum pool_change pool_add(struct pool *pool, const char *url);

/* Removes a proxy, and the sessions that use it. False when it is not there. */
bool pool_remove(struct pool *pool, const char *url);

struct pool_query {
  double now;
  uint64_t random; /* for POOL_RANDOM: 64 random bits */
  const char *key; /* of the session, any bytes; NULL: none */
  size_t key_size;
  const char *tried[POOL_MAX_TRIED]; /* URLs that are not to be picked again */
  size_t tried_count;
};

/* Picks a proxy that is not set aside; where all are, the one whose quarantine ends first. `url`
 * belongs to the pool, until it is changed; NULL when there is none left. False when memory is
 * out. */
bool pool_pick(struct pool *pool, const struct pool_query *query, const char **url);

/* Reports how a request through a proxy ended. `latency` in seconds; negative: not measured. False
 * when the proxy is not in the list (any more). */
bool pool_report(struct pool *pool, const char *url, enum pool_outcome outcome, double latency,
                 double now);

size_t pool_count(const struct pool *pool);

struct pool_row {
  const char *url; /* belongs to the pool */
  uint64_t requests, failures;
  double latency; /* an average that leans to the latest; negative: not measured */
  double until;   /* end of the quarantine; in the past: not set aside */
};

/* Calls `visit` for each proxy, in the order of the list. It must not change the pool. */
void pool_each(const struct pool *pool, void (*visit)(void *arg, const struct pool_row *row),
               void *arg);

#endif
