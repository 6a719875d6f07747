/* Responses of a server, from the first byte of the head: what libcurl makes of them, and what this
 * program reads from their headers. A thread is the server, which sends the input to each
 * connection; the first byte chooses the request. */
#include <arpa/inet.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http.h"
#include "spec/support/fuzz.h"

#define MAX_HEAD (256 << 10)

static struct server {
  int listener;
  char url[40];
  pthread_mutex_t mutex; /* of the input */
  uint8_t data[1 << 16];
  size_t size;
} server = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* What libcurl keeps for later requests would be looked through after each input. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
  return 1;
}

static void die(const char *why)
{
  perror(why);
  abort();
}

/* Closing before the request is read would reset the connection, and the input with it. */
static void serve(int fd)
{
  char request[4096];
  size_t size = 0;
  ssize_t got;
  while (size < sizeof request - 1 &&
         (got = read(fd, request + size, sizeof request - 1 - size)) > 0) {
    size += (size_t)got;
    request[size] = '\0';
    if (strstr(request, "\r\n\r\n")) break;
  }
  pthread_mutex_lock(&server.mutex); /* the client may have gone on to the next input */
  (void)!send(fd, server.data, server.size, MSG_NOSIGNAL | MSG_DONTWAIT);
  pthread_mutex_unlock(&server.mutex);
  close(fd);
}

static void *run_server(void *arg)
{
  for (;;) {
    int fd = accept(server.listener, NULL, NULL);
    if (fd < 0) die("accept");
    serve(fd);
  }
  return arg;
}

static void start_server(void)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  pthread_t thread;
  server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (server.listener < 0 || bind(server.listener, (struct sockaddr *)&address, size) != 0 ||
      listen(server.listener, 64) != 0 ||
      getsockname(server.listener, (struct sockaddr *)&address, &size) != 0 ||
      pthread_create(&thread, NULL, run_server, NULL) != 0)
    die("server");
  snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d", ntohs(address.sin_port));
}

struct count {
  int headed, done;
};

static void on_headed(void *arg)
{
  ((struct count *)arg)->headed++;
}

static void on_done(void *arg, struct http_transfer *x)
{
  (void)x;
  ((struct count *)arg)->done++;
}

static const char *refuse(long status, const char *type)
{
  if (status / 100 != 2) abort();
  return strstr(type, "html") ? "it is a page" : NULL;
}

static void check(struct http_transfer *x, const struct count *count)
{
  struct error err = ERROR_INIT;
  if (count->done != 1 || count->headed != x->has_head) abort();
  if (x->head.size > MAX_HEAD || x->body.size > x->request.max_body) abort();
  if (x->head.size > 0 && strncasecmp(x->head.data, "HTTP/", 5) != 0) abort();
  if (x->code == CURLE_OK && !x->has_head) abort();
  if (x->code != CURLE_OK) http_explain(x, &err);
  if (x->code != CURLE_OK && (err.kind == ERROR_NONE || !*err.message)) abort();
  double after = http_retry_after(x), date = http_date(x);
  if (!(after == -1 || (after >= 1 && after <= HTTP_MAX_RETRY_AFTER))) abort();
  if (!(isfinite(date) && date >= 0)) abort();
}

/* Through a proxy, redirects and CONNECT lead to the same server. */
static void ask(uint8_t way)
{
  static struct loop *loop;
  static struct http *http;
  static int asked;
  struct count count = {0};
  struct error err = ERROR_INIT;
  if (++asked % 256 == 0) { /* libcurl looks through all connections that it keeps */
    http_close(http);
    loop_close(loop);
    loop = NULL;
  }
  if (!loop) {
    loop = loop_open();
    http = loop ? http_open(loop) : NULL;
    if (!http) die("loop");
  }
  bool through = way & 1;
  struct http_request request = {.url = way & 2 && through ? "https://h.example/" : server.url,
                                 .method = way & 4 ? "HEAD" : "GET",
                                 .proxy = through ? server.url : "",
                                 .redirects = through ? 2 : 0,
                                 .keep_head = way & 8,
                                 .headed = on_headed,
                                 .refuse = way & 16 ? refuse : NULL,
                                 .max_body = 64 << 10,
                                 .timeout_ms = 500};
  struct http_transfer *x = http_send(http, &request, on_done, &count, &err);
  if (!x) die(err.message);
  x->arg = &count;
  while (!count.done) loop_turn(loop, -1);
  check(x, &count);
  http_release(x);
}

/* The same as scripts see it. */
static const char chunk[] =
    "local core = ...\n"
    "return function(url)\n"
    "  local ok, response = pcall(core.http.get, url, { redirects = 0, timeout = 0.5 })\n"
    "  if not ok then error(response, 0) end\n"
    "  for name, value in pairs(response.headers) do\n"
    "    assert(name == name:lower() and not (name .. value):find '[\\r\\n]')\n"
    "  end\n"
    "  assert(response.ok == (response.status // 100 == 2))\n"
    "  pcall(response.json, response)\n"
    "end\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0 || size > sizeof server.data) return 0;
  if (!*server.url) start_server();
  pthread_mutex_lock(&server.mutex);
  server.size = size - 1;
  memcpy(server.data, data + 1, server.size);
  pthread_mutex_unlock(&server.mutex);
  if (data[0] & 32)
    fuzz_call(chunk, (const uint8_t *)server.url, strlen(server.url));
  else
    ask(data[0]);
  return 0;
}
