/* Looks up names on threads of their own, so that the loop does not wait: getaddrinfo, as libcurl
 * does it. Results are kept for a while, and one lookup serves all that ask meanwhile. */
#ifndef PROXYLUA_NET_RESOLVER_H
#define PROXYLUA_NET_RESOLVER_H

#include <stdbool.h>
#include <sys/socket.h>

#include "net/loop.h"

#define RESOLVER_MAX_ADDRESSES 8

struct resolver;
struct resolver_query;

struct resolver_result {
  int count;                                               /* 0: the name has no address */
  struct sockaddr_storage address[RESOLVER_MAX_ADDRESSES]; /* with port 0 */
};

/* NULL when memory is out. */
struct resolver *resolver_open(struct loop *loop);

/* Forgets all queries; a lookup that is under way ends on its thread. NULL is fine. */
void resolver_close(struct resolver *resolver);

/* The addresses of a literal, or of a name that was looked up less than half a minute ago. False
 * when it has to be asked for. */
bool resolver_know(struct resolver *resolver, const char *host, struct resolver_result *result);

/* Looks a name up; `done` is called from a later turn of the loop, and the query is gone then.
 * NULL when memory or threads are out. */
struct resolver_query *resolver_ask(struct resolver *resolver, const char *host,
                                    void (*done)(void *arg, const struct resolver_result *result),
                                    void *arg);

/* `done` is not called any more. */
void resolver_cancel(struct resolver_query *query);

#endif
