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

/* Calls an endpoint with one text as a parameter, prints what it returns, and ends the program
 * after an error. Returns the id of the order that it bought. */
static void call(struct proxylua *px, const char *endpoint, const char *format, const char *text,
                 char order[64])
{
  char parameters[512];
  struct proxylua_error error;
  snprintf(parameters, sizeof parameters, format, text);
  struct proxylua_call *call = proxylua_call(px, endpoint, parameters, NULL, NULL, &error);
  const struct proxylua_result *result = call ? proxylua_wait(call) : NULL;
  const struct proxylua_error *failed = call ? result->error : &error;
  if (failed) {
    fprintf(stderr, "buy: %s: %s\n", failed->kind, failed->message);
    exit(1);
  }
  printf("%s%s\n", result->repeated ? "bought before: " : "", result->json);
  snprintf(order, 64, "%s", result->order_id);
  proxylua_release(call);
}

int main(int argc, char **argv)
{
  const struct proxylua_settings settings = {.base_url = getenv("PROXYLUA_BASE_URL"),
                                             .api_key = getenv("PROXYLUA_API_KEY"),
                                             .store = getenv("PROXYLUA_STORE"),
                                             .spend_per_run = "25",
                                             .log = print_line};
  struct proxylua_error error;
  char order[64], none[64];
  signal(SIGPIPE, SIG_IGN);
  struct proxylua *px = proxylua_open(&settings, &error);
  if (!px) return fprintf(stderr, "buy: %s\n", error.message), 1;
  call(px, "orders.create",
       "{\"type\": \"isp\", \"quantity\": 2, \"country\": \"US\", \"key\": \"%s\"}",
       argc > 1 ? argv[1] : "buy-1", order);
  call(px, "orders.proxies", "{\"id\": \"%s\"}", order, none);
  proxylua_close(px);
  return 0;
}
