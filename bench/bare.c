/* The reference: what an able C programmer writes for the same work with libcurl's multi interface,
 * epoll and lua-cjson. Easy handles, connections and the parsed URL are reused, changes of what
 * epoll watches are collected, TLS is multiplexed on one connection, responses are decoded in a
 * plain lua_State. On the wire it says what proxylua says. Every response is checked; a count that
 * is not the expected one fails the run.
 *
 *   bare get URL COUNT IN_FLIGHT [HEADER…]                   status 200, a JSON table
 *   bare download URL PATH [HEADER…]                         status 200, streamed to the file
 *   bare proxies URL FILE IN_FLIGHT TIMEOUT WORKING          once through each proxy of the file;
 * WORKING of them answer
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/version.h"

#define EVENTS 256
#define TIMEOUT 30000
#define CONNECT_TIMEOUT 15000

int luaopen_cjson(lua_State *L);

/* What libcurl wants of a descriptor and what epoll has. */
struct watch {
  uint32_t wanted, told;
  bool changed;
};

struct slot {
  CURL *easy;
  char *body;
  size_t size, capacity;
};

static struct {
  int epoll;
  CURLM *multi;
  int64_t due; /* in milliseconds, when libcurl wants to be called; -1: never */
  struct watch *watches;
  int *changed, changed_count, descriptors;

  lua_State *L; /* its only value: cjson.decode */
  struct slot *slots;
  CURLU *url;
  struct curl_slist *headers;
  long timeout; /* milliseconds */

  char **proxies; /* or NULL */
  int count, next, answered, failed;
} bare;

static void die(const char *what)
{
  fprintf(stderr, "bare: %s\n", what);
  exit(1);
}

static void *need(void *memory)
{
  if (!memory) die("out of memory");
  return memory;
}

static int64_t milliseconds(void)
{
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* --- the loop --- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
  (void)easy, (void)arg, (void)unused;
  static const uint32_t events[] = {[CURL_POLL_IN] = EPOLLIN,
                                    [CURL_POLL_OUT] = EPOLLOUT,
                                    [CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT,
                                    [CURL_POLL_REMOVE] = 0};
  struct watch *watch = &bare.watches[fd];
  watch->wanted = events[what];
  if (!watch->changed) bare.changed[bare.changed_count++] = fd;
  watch->changed = true;
  return 0;
}

static int close_socket(void *arg, curl_socket_t fd)
{
  (void)arg;
  bare.watches[fd].told = 0; /* the kernel forgets a closed descriptor by itself */
  return close(fd);
}

static int on_timer(CURLM *multi, long delay, void *arg)
{
  (void)multi, (void)arg;
  bare.due = delay < 0 ? -1 : delay == 0 ? 0 : milliseconds() + delay;
  return 0;
}

static void tell_changes(void)
{
  for (int i = 0; i < bare.changed_count; i++) {
    struct watch *watch = &bare.watches[bare.changed[i]];
    watch->changed = false;
    if (watch->wanted == watch->told) continue;
    struct epoll_event event = {.events = watch->wanted, .data.fd = bare.changed[i]};
    int op = !watch->told ? EPOLL_CTL_ADD : watch->wanted ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    if (epoll_ctl(bare.epoll, op, bare.changed[i], &event) < 0) die("epoll_ctl");
    watch->told = watch->wanted;
  }
  bare.changed_count = 0;
}

static void act(int fd, int flags)
{
  int running;
  if (curl_multi_socket_action(bare.multi, fd, flags, &running) != CURLM_OK)
    die("curl_multi_socket_action");
}

static int flags_of(uint32_t events)
{
  return (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
         (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) | (events & EPOLLERR ? CURL_CSELECT_ERR : 0);
}

static int time_left(void)
{
  if (bare.due <= 0) return (int)bare.due;
  int64_t left = bare.due - milliseconds();
  return left < 0 ? 0 : (int)left;
}

static void expire(void)
{
  if (time_left() != 0) return;
  bare.due = -1;
  act(CURL_SOCKET_TIMEOUT, 0);
}

static void turn(void)
{
  struct epoll_event events[EVENTS];
  tell_changes();
  int count = epoll_wait(bare.epoll, events, EVENTS, time_left());
  if (count < 0 && errno != EINTR) die("epoll_wait");
  for (int i = 0; i < count; i++) act(events[i].data.fd, flags_of(events[i].events));
  expire();
}

static void loop_open(int in_flight)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) die("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) die("setrlimit");
  bare.descriptors = in_flight * 2 + 64;
  bare.watches = need(calloc((size_t)bare.descriptors, sizeof *bare.watches));
  bare.changed = need(calloc((size_t)bare.descriptors, sizeof *bare.changed));
  bare.due = -1;
  bare.epoll = epoll_create1(EPOLL_CLOEXEC);
  if (bare.epoll < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    die("no epoll or no libcurl");
  bare.multi = need(curl_multi_init());
  curl_multi_setopt(bare.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(bare.multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(bare.multi, CURLMOPT_MAXCONNECTS, (long)in_flight);
}

/* --- transfers --- */

static int open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
  (void)arg, (void)purpose;
  int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
  if (fd >= bare.descriptors) die("too many descriptors");
  return fd;
}

static size_t on_body(char *data, size_t one, size_t length, void *arg)
{
  (void)one;
  struct slot *slot = arg;
  if (slot->size + length > slot->capacity) {
    slot->capacity = (slot->size + length) * 2;
    slot->body = need(realloc(slot->body, slot->capacity));
  }
  memcpy(slot->body + slot->size, data, length);
  slot->size += length;
  return length;
}

static CURL *easy_new(void)
{
  CURL *easy = need(curl_easy_init());
  const char *ca = getenv("SSL_CERT_FILE");
  curl_easy_setopt(easy, CURLOPT_CURLU, bare.url);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "proxylua/" PROXYLUA_VERSION);
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, bare.headers);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, bare.timeout);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT);
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
  curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
  if (ca) curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
  return easy;
}

static void add(CURL *easy)
{
  if (curl_multi_add_handle(bare.multi, easy) != CURLM_OK) die("curl_multi_add_handle");
}

static void begin(struct slot *slot)
{
  slot->size = 0;
  if (bare.proxies) curl_easy_setopt(slot->easy, CURLOPT_PROXY, bare.proxies[bare.next]);
  bare.next++;
  add(slot->easy);
}

static bool decode(const struct slot *slot)
{
  lua_State *L = bare.L;
  lua_pushvalue(L, 1);
  lua_pushlstring(L, slot->body, slot->size);
  bool good = lua_pcall(L, 1, 1, 0) == LUA_OK && lua_istable(L, -1);
  lua_settop(L, 1);
  return good;
}

static bool succeeded(const CURLMsg *message)
{
  long status = 0;
  curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
  return message->data.result == CURLE_OK && status == 200;
}

static void finish(const CURLMsg *message)
{
  struct slot *slot = NULL;
  CURL *easy = message->easy_handle;
  bool good = succeeded(message);
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&slot);
  curl_multi_remove_handle(bare.multi, easy);
  if (good && decode(slot))
    bare.answered++;
  else
    bare.failed++;
  if (bare.next < bare.count) begin(slot);
}

static void collect(void)
{
  int left;
  for (CURLMsg *message; (message = curl_multi_info_read(bare.multi, &left));) {
    CURLMsg copy = *message; /* removing the handle frees it */
    finish(&copy);
  }
}

static void slot_open(struct slot *slot)
{
  slot->easy = easy_new();
  curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(slot->easy, CURLOPT_WRITEDATA, slot);
  curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
  if (!bare.proxies) return;
  /* One request a connection: HTTP/2 would cost its set-up, and libcurl does not resume its TLS
   * sessions. */
  curl_easy_setopt(slot->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(slot->easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(slot->easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
}

static void run_all(int in_flight)
{
  bare.L = need(luaL_newstate());
  luaL_requiref(bare.L, "cjson", luaopen_cjson, 0);
  lua_getfield(bare.L, 1, "decode");
  lua_replace(bare.L, 1);
  if (in_flight > bare.count) in_flight = bare.count;
  bare.slots = need(calloc((size_t)in_flight, sizeof *bare.slots));
  for (int i = 0; i < in_flight; i++) {
    slot_open(&bare.slots[i]);
    begin(&bare.slots[i]);
  }
  while (bare.answered + bare.failed < bare.count) {
    turn();
    collect();
  }
}

/* --- modes --- */

static int number(const char *text)
{
  char *end;
  long value = strtol(text, &end, 10);
  if (*end || value < 1 || value > 1000000) die("not a number in range");
  return (int)value;
}

static void set_target(const char *url, char **header)
{
  bare.url = need(curl_url());
  if (curl_url_set(bare.url, CURLUPART_URL, url, 0) != CURLUE_OK) die("not a URL");
  for (; *header; header++) bare.headers = need(curl_slist_append(bare.headers, *header));
}

static int expect(int answered)
{
  printf("%d answered, %d failed\n", bare.answered, bare.failed);
  return bare.answered == answered ? 0 : 1;
}

static int get(char **args)
{
  int in_flight = number(args[2]);
  bare.count = number(args[1]);
  set_target(args[0], args + 3);
  loop_open(in_flight);
  run_all(in_flight);
  return expect(bare.count);
}

static void read_proxies(const char *path)
{
  char *line = NULL;
  size_t capacity = 0;
  FILE *file = need(fopen(path, "r"));
  for (ssize_t length; (length = getline(&line, &capacity, file)) > 0;) {
    line[length - 1] = 0;
    bare.proxies = need(realloc(bare.proxies, (size_t)(bare.count + 1) * sizeof *bare.proxies));
    bare.proxies[bare.count++] = need(strdup(line));
  }
  free(line);
  fclose(file);
}

static int proxies(char **args)
{
  int in_flight = number(args[2]);
  char *none = NULL;
  set_target(args[0], &none);
  read_proxies(args[1]);
  bare.timeout = number(args[3]) * 1000L;
  loop_open(in_flight);
  run_all(in_flight);
  return expect(number(args[4]));
}

static size_t on_file(char *data, size_t one, size_t length, void *arg)
{
  (void)one;
  return write(*(int *)arg, data, length) == (ssize_t)length ? length : 0;
}

static int download(char **args)
{
  int left;
  int fd = open(args[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) die(args[1]);
  set_target(args[0], args + 2);
  loop_open(1);
  CURL *easy = easy_new();
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 512 * 1024L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_file);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &fd);
  add(easy);
  CURLMsg *message;
  do turn();
  while (!(message = curl_multi_info_read(bare.multi, &left)));
  return succeeded(message) && close(fd) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
  bare.timeout = TIMEOUT;
  if (argc >= 5 && strcmp(argv[1], "get") == 0) return get(argv + 2);
  if (argc >= 4 && strcmp(argv[1], "download") == 0) return download(argv + 2);
  if (argc == 7 && strcmp(argv[1], "proxies") == 0) return proxies(argv + 2);
  die("usage: get URL COUNT IN_FLIGHT [HEADER…] | download URL PATH [HEADER…] | proxies URL FILE "
      "IN_FLIGHT TIMEOUT WORKING");
}
