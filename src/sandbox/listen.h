/* Listening on loopback, without falling over when descriptors run out. */
#ifndef PROXYLUA_SANDBOX_LISTEN_H
#define PROXYLUA_SANDBOX_LISTEN_H

#include <event2/listener.h>

#include "base/error.h"

/* Listens on 127.0.0.1; port 0 picks a free one. Each accepted socket is non-blocking and sends
 * without delay. The caller sets the callback and frees the listener. NULL with the reason
 * (config). */
struct evconnlistener *listen_open(struct event_base *base, int port, struct error *err);

/* The port that it got. */
int listen_port(struct evconnlistener *listener);

#endif
