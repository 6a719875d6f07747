/* A host with an event loop of its own, for spec/e2e/embed_spec.lua: it polls the engine's
 * descriptor, has several calls under way at once, cancels some, and prints a line for each result.
 */
#include <poll.h>
#include <proxylua.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct host;

struct named {
  struct host *host;
  const char *name;
};

struct host {
  struct proxylua *px;
  int open;   /* calls under way */
  int inside; /* a function of the library runs: callbacks may not come */
  struct named named[32];
  int count;
};

static void print_error(const char *name, const struct proxylua_error *error)
{
  printf("%s: %s, money %s: %s\n", name, error->kind, error->charge, error->message);
}

static void on_done(void *arg, struct proxylua_call *call, const struct proxylua_result *result)
{
  struct named *named = arg;
  struct host *host = named->host;
  if (host->inside) printf("%s: called back too early\n", named->name);
  if (result->error)
    print_error(named->name, result->error);
  else
    printf("%s: %zu %s%s\n", named->name, result->size, result->repeated ? "repeated " : "",
           result->json);
  host->open--;
  proxylua_release(call);
}

static struct proxylua_call *start(struct host *host, const char *name, const char *endpoint,
                                   const char *parameters)
{
  struct proxylua_error error;
  struct proxylua_call *call;
  struct named *named = &host->named[host->count++];
  *named = (struct named){host, name};
  host->inside = 1;
  if (strcmp(endpoint, "limits") == 0)
    call = proxylua_limits(host->px, on_done, named, &error);
  else if (strcmp(endpoint, "journal") == 0)
    call = proxylua_journal(host->px, 10, on_done, named, &error);
  else
    call = proxylua_call(host->px, endpoint, parameters, on_done, named, &error);
  host->inside = 0;
  if (call) {
    host->open++;
    return call;
  }
  print_error(name, &error);
  return NULL;
}

static void run(struct host *host)
{
  while (host->open > 0) {
    struct pollfd descriptor = {.fd = proxylua_descriptor(host->px), .events = POLLIN};
    if (poll(&descriptor, 1, proxylua_timeout(host->px)) < 0) abort();
    proxylua_turn(host->px, 0);
  }
}

int main(void)
{
  static const char order[] =
      "{\"type\": \"isp\", \"quantity\": 1, \"country\": \"US\", \"key\": \"host-1\"}";
  const struct proxylua_settings settings = {.base_url = getenv("PROXYLUA_BASE_URL"),
                                             .api_key = getenv("PROXYLUA_API_KEY"),
                                             .store = getenv("PROXYLUA_STORE"),
                                             .spend_per_run = "5"};
  struct proxylua_error error;
  struct host host = {0};
  signal(SIGPIPE, SIG_IGN);
  host.px = proxylua_open(&settings, &error);
  if (!host.px) {
    print_error("open", &error);
    return 1;
  }
  start(&host, "typo", "orders.lst", NULL);
  start(&host, "syntax", "orders.list", "{");
  start(&host, "unknown", "orders.list", "{\"lmit\": 3}");
  start(&host, "type", "orders.create", "{\"type\": \"isp\", \"quantity\": \"many\"}");
  start(&host, "missing", "orders.get", NULL);
  start(&host, "first", "orders.create", order);
  start(&host, "second", "orders.create", order);
  start(&host, "account", "account.get", NULL);
  start(&host, "limits", "limits", NULL);
  struct proxylua_call *cancelled = start(&host, "cancelled", "orders.list", NULL);
  if (proxylua_cancel(cancelled)) printf("cancelled: moved money\n");
  host.open--;
  cancelled = start(&host, "cancelled", "journal", NULL);
  if (proxylua_cancel(cancelled)) printf("cancelled: moved money\n");
  host.open--;
  run(&host);
  start(&host, "list", "orders.list", "{\"limit\": 1}");
  start(&host, "none", "orders.get", "{\"id\": \"ord_none\"}");
  start(&host, "dear", "orders.create",
        "{\"type\": \"isp\", \"quantity\": 9, \"country\": \"US\", \"key\": \"host-2\"}");
  run(&host);
  start(&host, "journal", "journal", NULL);
  run(&host);
  if (proxylua_busy(host.px)) printf("busy\n");
  start(&host, "left", "orders.list", NULL); /* ends with the engine */
  proxylua_close(host.px);
  return 0;
}
