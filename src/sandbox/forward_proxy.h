/* Forward proxies on loopback: CONNECT tunnels and plain HTTP requests to loopback addresses, for
 * clients whose credentials the rules accept. One set of listeners serves all proxies that were
 * sold. */
#ifndef PROXYLUA_SANDBOX_FORWARD_PROXY_H
#define PROXYLUA_SANDBOX_FORWARD_PROXY_H

#include <event2/listener.h>

#include "base/error.h"
#include "sandbox/rules.h"

struct forward_proxy;

/* Serves what arrives at the listeners, which it owns from now on (on failure too). NULL when
 * memory is out. */
struct forward_proxy *forward_proxy_open(struct event_base *base,
                                         struct evconnlistener *listeners[RULES_PORTS],
                                         struct rules *rules, struct error *err);

/* Closes every connection. NULL is fine. */
void forward_proxy_close(struct forward_proxy *proxy);

#endif
