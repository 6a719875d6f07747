#include "sandbox/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#define BACKLOG 4096

static void resume(evutil_socket_t fd, short what, void *arg)
{
  (void)fd, (void)what;
  evconnlistener_enable(arg);
}

/* Out of descriptors: the connection stays in the backlog, and asking again at once would burn the
 * processor. */
static void on_error(struct evconnlistener *listener, void *arg)
{
  (void)arg;
  struct timeval pause = {.tv_usec = 50000};
  if (event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, resume, listener,
                      &pause) == 0)
    evconnlistener_disable(listener);
}

struct evconnlistener *listen_open(struct event_base *base, int port, struct error *err)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  unsigned flags = LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC;
  struct evconnlistener *listener =
      evconnlistener_new_bind(base, NULL, NULL, flags, BACKLOG, (struct sockaddr *)&address,
                              sizeof address);
  if (!listener) {
    error_set(err, ERROR_CONFIG,
              "the sandbox cannot listen on 127.0.0.1:%d: %s; name another port, or 0 for a free "
              "one",
              port, strerror(errno));
    return NULL;
  }
  evconnlistener_set_error_cb(listener, on_error);
  int yes = 1; /* accepted sockets inherit it */
  setsockopt(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return listener;
}

int listen_port(struct evconnlistener *listener)
{
  struct sockaddr_in address = {0};
  socklen_t size = sizeof address;
  getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &size);
  return ntohs(address.sin_port);
}
