#include "sandbox/sandbox.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sandbox/forward_proxy.h"
#include "sandbox/listen.h"
#include "sandbox/rules.h"
#include "sandbox/server.h"

struct sandbox {
  struct event_base *base;
  struct event *stop;
  int wake; /* an eventfd: written once, to end the thread */
  struct rules *rules;
  struct server *server;
  struct forward_proxy *proxy;
  int port;
  pthread_t thread;
  bool running;
};

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
  (void)fd, (void)what;
  event_base_loopbreak(arg);
}

static void *run(void *arg)
{
  struct sandbox *sandbox = arg;
  pthread_setname_np(pthread_self(), "sandbox");
  event_base_dispatch(sandbox->base);
  return NULL;
}

static bool open_base(struct sandbox *sandbox, struct error *err)
{
  struct event_config *config = event_config_new();
  if (config && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
    sandbox->base = event_base_new_with_config(config);
  if (config) event_config_free(config);
  sandbox->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (sandbox->base && sandbox->wake >= 0)
    sandbox->stop = event_new(sandbox->base, sandbox->wake, EV_READ, on_stop, sandbox->base);
  if (sandbox->stop && event_add(sandbox->stop, NULL) == 0) return true;
  error_set(err, ERROR_INTERNAL, "the sandbox cannot start: out of memory or file descriptors");
  return false;
}

/* The proxies' ports follow the API's when that one was named and they are free, so that they
 * outlive a restart. */
static struct evconnlistener *open_proxy_port(struct sandbox *sandbox, int wanted,
                                              struct error *err)
{
  struct evconnlistener *listener = NULL;
  if (wanted > 0 && wanted < 65536) listener = listen_open(sandbox->base, wanted, err);
  return listener ? listener : listen_open(sandbox->base, 0, err);
}

static bool open_proxies(struct sandbox *sandbox, const struct sandbox_options *options,
                         struct error *err)
{
  struct evconnlistener *listeners[RULES_PORTS];
  int ports[RULES_PORTS];
  for (int i = 0; i < RULES_PORTS; i++) {
    listeners[i] = open_proxy_port(sandbox, options->port > 0 ? options->port + i + 1 : 0, err);
    if (!listeners[i]) {
      while (i > 0) evconnlistener_free(listeners[--i]);
      return false;
    }
    ports[i] = listen_port(listeners[i]);
  }
  sandbox->rules = rules_open(options->settings, options->prepare, ports, err);
  if (sandbox->rules) {
    sandbox->proxy = forward_proxy_open(sandbox->base, listeners, sandbox->rules, err);
    return sandbox->proxy != NULL;
  }
  for (int i = 0; i < RULES_PORTS; i++) evconnlistener_free(listeners[i]);
  return false;
}

static bool open_server(struct sandbox *sandbox, const struct sandbox_options *options,
                        struct error *err)
{
  struct evconnlistener *listener = listen_open(sandbox->base, options->port, err);
  if (!listener) return false;
  sandbox->port = listen_port(listener);
  if (!open_proxies(sandbox, options, err)) {
    evconnlistener_free(listener);
    return false;
  }
  sandbox->server = server_open(sandbox->base, listener, sandbox->rules, err);
  return sandbox->server != NULL;
}

/* Signals are the business of the other threads; a write to a closed connection must not end the
 * process. */
static bool start_thread(struct sandbox *sandbox, struct error *err)
{
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int why = pthread_create(&sandbox->thread, NULL, run, sandbox);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  sandbox->running = why == 0;
  if (why != 0)
    error_set(err, ERROR_INTERNAL, "the sandbox cannot start a thread: %s", strerror(why));
  return sandbox->running;
}

struct sandbox *sandbox_start(const struct sandbox_options *options, struct error *err)
{
  struct sandbox *sandbox = calloc(1, sizeof *sandbox);
  if (!sandbox) {
    error_set(err, ERROR_INTERNAL, "the sandbox cannot start: out of memory");
    return NULL;
  }
  sandbox->wake = -1;
  if (open_base(sandbox, err) && open_server(sandbox, options, err) && start_thread(sandbox, err))
    return sandbox;
  sandbox_stop(sandbox);
  return NULL;
}

int sandbox_port(const struct sandbox *sandbox)
{
  return sandbox->port;
}

const char *sandbox_key(const struct sandbox *sandbox)
{
  return rules_key(sandbox->rules);
}

void sandbox_stop(struct sandbox *sandbox)
{
  if (!sandbox) return;
  if (sandbox->running) {
    eventfd_write(sandbox->wake, 1);
    pthread_join(sandbox->thread, NULL);
  }
  server_close(sandbox->server);
  forward_proxy_close(sandbox->proxy);
  rules_close(sandbox->rules);
  if (sandbox->stop) event_free(sandbox->stop);
  if (sandbox->base) event_base_free(sandbox->base);
  if (sandbox->wake >= 0) close(sandbox->wake);
  free(sandbox);
}
