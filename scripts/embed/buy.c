/* Buys an order with the engine of proxylua, and prints its proxies.
 *
 *   make install-lib PREFIX=~/.local
 *   cc buy.c -o buy $(pkg-config --cflags --libs proxylua)
 *   PROXYLUA_BASE_URL=… PROXYLUA_API_KEY=… ./buy KEY
 *
 * KEY names this purchase: the same key buys once, however often the program runs. */
#include <proxylua.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void print_line(void *arg, const char *line)
{
  (void)arg;
  fprintf(stderr, "buy: %s\n", line);
}

/* Calls an endpoint and prints what it returns. Returns 0, or 1 after an error. */
static int call(struct proxylua *px, const char *endpoint, const char *parameters, char *order)
{
  struct proxylua_error error;
  struct proxylua_call *call = proxylua_call(px, endpoint, parameters, NULL, NULL, &error);
  const struct proxylua_result *result = call ? proxylua_wait(call) : NULL;
  const struct proxylua_error *failed = call ? result->error : &error;
  if (failed)
    fprintf(stderr, "buy: %s: %s\n", failed->kind, failed->message);
  else
    printf("%s%s\n", result->repeated ? "bought before: " : "", result->json);
  if (order && result) snprintf(order, 256, "%s", result->order_id);
  int code = failed != NULL;
  if (call) proxylua_release(call);
  return code;
}

int main(int argc, char **argv)
{
  const struct proxylua_settings settings = {.base_url = getenv("PROXYLUA_BASE_URL"),
                                             .api_key = getenv("PROXYLUA_API_KEY"),
                                             .store = getenv("PROXYLUA_STORE"),
                                             .spend_per_run = "25",
                                             .log = print_line};
  struct proxylua_error error;
  char order[256] = "", parameters[512];
  signal(SIGPIPE, SIG_IGN);
  struct proxylua *px = proxylua_open(&settings, &error);
  if (!px) {
    fprintf(stderr, "buy: %s\n", error.message);
    return 1;
  }
  snprintf(parameters, sizeof parameters,
           "{\"type\": \"isp\", \"quantity\": 2, \"country\": \"US\", \"key\": \"%s\"}",
           argc > 1 ? argv[1] : "buy-1");
  int code = call(px, "orders.create", parameters, order);
  snprintf(parameters, sizeof parameters, "{\"id\": \"%s\"}", order);
  if (code == 0) code = call(px, "orders.proxies", parameters, NULL);
  proxylua_close(px);
  return code;
}
