/* The HTTP server of the sandbox: passes requests to the rules and sends their responses, including
 * invalid ones. */
#ifndef PROXYLUA_SANDBOX_SERVER_H
#define PROXYLUA_SANDBOX_SERVER_H

#include <event2/listener.h>

#include "base/error.h"
#include "sandbox/rules.h"

struct server;

/* Serves what arrives at the listener, which the server owns from now on (on failure too). NULL
 * when memory is out. */
struct server *server_open(struct event_base *base, struct evconnlistener *listener,
                           struct rules *rules, struct error *err);

/* Closes every connection. NULL is fine. */
void server_close(struct server *server);

#endif
