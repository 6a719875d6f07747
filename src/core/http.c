#include "core/http.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/version.h"

#define DEFAULT_TIMEOUT_MS 30000
#define CONNECT_TIMEOUT_MS 15000
#define POOL_LARGEST 1024    /* idle handles kept */
#define KEPT_BODY (64 << 10) /* bytes of body buffer an idle handle keeps */
#define MAX_HEAD (256 << 10) /* bytes of header lines collected */
/* Exchanges through proxies begin with a connection each, and a thousand that begin at once evict each other from the
 * processor's caches: so many begin in a turn, and only where the turn before brought little, unless that is long ago. */
#define STARTS_A_TURN 16
#define QUIET 4
#define MOST_PUT_OFF 1000
#define DOWNLOAD_BUFFER (512 << 10)
#define CONNECTIONS_KEPT 4096 /* at least the number in flight, or libcurl closes what it should keep */
#define CA_BUNDLE "/etc/ssl/certs/ca-certificates.crt"

/* A parsed URL. libcurl reads it when a transfer starts, some time after it was handed over, so each exchange holds it. */
struct http_target {
  CURLU *url;
  char *text;
  bool loopback;
  int holders;
};

struct http {
  struct loop *loop;
  CURLM *multi;
  struct http_exchange *active, *idle;
  size_t idle_count;
  struct http_target *target; /* of the last request: most work asks for the same URL again */
  char *ca;
  struct http_exchange *first_queued, *last_queued; /* linked and held like active ones */
  struct loop_starter starter;
  int put_off; /* turns in a row */
};

static void drop_target(struct http_target *target)
{
  if (!target || --target->holders > 0) return;
  curl_url_cleanup(target->url);
  free(target->text);
  free(target);
}

/* --- what libcurl calls --- */

static size_t on_body(char *bytes, size_t one, size_t size, void *arg)
{
  (void)one;
  struct http_exchange *x = arg;
  if (x->file.fd >= 0) return file_write(&x->file, bytes, size, &x->failure) ? size : CURL_WRITEFUNC_ERROR;
  if (size > x->request.max_body - x->body.size) {
    x->too_large = true;
    return CURL_WRITEFUNC_ERROR;
  }
  return buffer_add(&x->body, bytes, size) ? size : CURL_WRITEFUNC_ERROR;
}

static bool head_complete(struct http_exchange *x)
{
  curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &x->status);
  if (x->status < 200 || (x->request.redirects > 0 && x->status / 100 == 3)) return true;
  x->has_head = true;
  if (x->request.headed) x->request.headed(x->arg);
  if (!x->request.path || x->status / 100 != 2) return true;
  return file_begin(&x->file, x->request.path, 0600, &x->failure);
}

static size_t on_header(char *line, size_t one, size_t size, void *arg)
{
  (void)one;
  struct http_exchange *x = arg;
  if (size <= 2 && (size == 0 || line[0] == '\r' || line[0] == '\n')) return head_complete(x) ? size : 0;
  if (!x->request.keep_head || x->has_head) return size;
  if (size > 5 && memcmp(line, "HTTP/", 5) == 0) x->head.size = 0;
  if (x->head.size + size > MAX_HEAD) return 0;
  return buffer_add(&x->head, line, size) ? size : 0;
}

static int on_prereq(void *arg, char *remote, char *local, int remote_port, int local_port)
{
  (void)remote, (void)local, (void)remote_port, (void)local_port;
  struct http_exchange *x = arg;
  if (x->sends++ == 0) {
    if (x->request.may_send && !x->request.may_send(x->arg)) return CURL_PREREQFUNC_ABORT;
    x->sent = true;
  } else if (x->request.once) {
    return CURL_PREREQFUNC_ABORT;
  }
  return CURL_PREREQFUNC_OK;
}

static curl_socket_t on_open(void *loop, curlsocktype purpose, struct curl_sockaddr *address)
{
  return loop_open_socket(loop, (int)purpose, address);
}

static int on_close(void *loop, curl_socket_t fd)
{
  return loop_close_socket(loop, fd);
}

/* --- exchanges: taken from the pool, linked while active --- */

static void link_in(struct http_exchange **list, struct http_exchange *x)
{
  x->next = *list;
  x->previous = NULL;
  if (x->next) x->next->previous = x;
  *list = x;
}

static void unlink_from(struct http_exchange **list, struct http_exchange *x)
{
  if (x->previous)
    x->previous->next = x->next;
  else
    *list = x->next;
  if (x->next) x->next->previous = x->previous;
}

static void destroy(struct http_exchange *x)
{
  if (x->easy) curl_easy_cleanup(x->easy);
  file_abandon(&x->file);
  buffer_free(&x->body);
  buffer_free(&x->head);
  free(x);
}

/* Options that never change for a handle. */
static void configure(struct http_exchange *x)
{
  CURL *easy = x->easy;
  struct loop *loop = x->owner->loop;
  curl_easy_setopt(easy, CURLOPT_PRIVATE, x);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prereq);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, x);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, loop);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, loop);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->text);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
  curl_easy_setopt(easy, CURLOPT_CAINFO, x->owner->ca);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "proxylua/" PROXYLUA_VERSION);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
}

static struct http_exchange *take(struct http *http)
{
  struct http_exchange *x = http->idle;
  if (x) {
    unlink_from(&http->idle, x);
    http->idle_count--;
    return x;
  }
  x = calloc(1, sizeof *x);
  if (!x) return NULL;
  x->file = FILE_INIT;
  x->owner = http;
  x->easy = curl_easy_init();
  if (!x->easy) {
    free(x);
    return NULL;
  }
  configure(x);
  return x;
}

void http_release(struct http_exchange *x)
{
  struct http *http = x->owner;
  drop_target(x->target);
  x->target = NULL;
  file_abandon(&x->file);
  x->head.size = x->body.size = 0;
  if (x->body.capacity > KEPT_BODY) buffer_free(&x->body);
  if (http->idle_count >= POOL_LARGEST) {
    destroy(x);
    return;
  }
  link_in(&http->idle, x);
  http->idle_count++;
}

/* --- opening and closing --- */

static void end(struct http_exchange *x)
{
  unlink_from(&x->owner->active, x);
  loop_release(x->owner->loop);
  if (x->code == CURLE_OK && x->file.fd >= 0 && !file_commit(&x->file, &x->failure)) x->code = CURLE_WRITE_ERROR;
  if (x->code != CURLE_OK) file_abandon(&x->file);
  x->done(x->arg, x);
}

static bool collect(void *arg)
{
  struct loop *loop = arg;
  CURLMsg *message;
  int left;
  bool any = false;
  CURLM *multi = loop_curl(loop);
  while ((message = curl_multi_info_read(multi, &left))) {
    if (message->msg != CURLMSG_DONE) continue;
    struct http_exchange *x = NULL;
    CURLcode code = message->data.result;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &x);
    curl_multi_remove_handle(multi, x->easy);
    x->code = code;
    end(x);
    any = true;
  }
  return any;
}

struct http *http_open(struct loop *loop)
{
  struct http *http = calloc(1, sizeof *http);
  if (!http) return NULL;
  const char *ca = getenv("SSL_CERT_FILE");
  http->loop = loop;
  http->ca = strdup(ca && *ca ? ca : CA_BUNDLE);
  if (http->ca) return http;
  free(http);
  return NULL;
}

void http_close(struct http *http)
{
  if (!http) return;
  while (http->active) {
    struct http_exchange *x = http->active;
    http_cancel(x);
    http_release(x);
  }
  while (http->idle) {
    struct http_exchange *x = http->idle;
    unlink_from(&http->idle, x);
    destroy(x);
  }
  loop_remove_starter(http->loop, &http->starter);
  drop_target(http->target);
  free(http->ca);
  free(http);
}

/* --- sending --- */

static bool host_is_loopback(const char *host)
{
  struct in_addr four;
  if (inet_pton(AF_INET, host, &four) == 1) return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
  size_t size = strlen(host);
  return strcmp(host, "[::1]") == 0 || strcasecmp(host, "localhost") == 0 ||
         (size > 10 && strcasecmp(host + size - 10, ".localhost") == 0);
}

static bool url_is_loopback(CURLU *url)
{
  char *host = NULL;
  if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK) return false;
  bool loopback = host_is_loopback(host);
  curl_free(host);
  return loopback;
}

bool http_is_loopback(const char *url)
{
  CURLU *parsed = curl_url();
  bool loopback = parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK && url_is_loopback(parsed);
  curl_url_cleanup(parsed);
  return loopback;
}

static struct http_target *parse_target(const char *text, struct error *err)
{
  struct http_target *target = calloc(1, sizeof *target);
  CURLUcode code = CURLUE_OUT_OF_MEMORY;
  if (target) {
    target->holders = 1;
    target->url = curl_url();
    target->text = strdup(text);
    if (target->url && target->text) code = curl_url_set(target->url, CURLUPART_URL, text, 0);
  }
  if (code == CURLUE_OK) {
    target->loopback = url_is_loopback(target->url);
    return target;
  }
  error_set(err, code == CURLUE_OUT_OF_MEMORY ? ERROR_INTERNAL : ERROR_USAGE, "cannot read the URL %.200s: %s", text,
            curl_url_strerror(code));
  drop_target(target);
  return NULL;
}

static bool find_target(struct http *http, const char *text, struct error *err)
{
  if (http->target && strcmp(http->target->text, text) == 0) return true;
  struct http_target *target = parse_target(text, err);
  if (!target) return false;
  drop_target(http->target);
  http->target = target;
  return true;
}

static void set_method(CURL *easy, const struct http_request *r)
{
  bool get = !r->method || strcmp(r->method, "GET") == 0;
  bool head = !get && strcmp(r->method, "HEAD") == 0;
  bool post = !get && strcmp(r->method, "POST") == 0;
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, get || head || post ? NULL : r->method);
  if (r->body || post) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_size);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body ? r->body : "");
    if (get) curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "GET");
  } else {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, head ? CURLOPT_NOBODY : CURLOPT_HTTPGET, 1L);
  }
}

/* A silence ends a download, whose size nobody knows; everything else ends at its timeout. */
static void set_times(CURL *easy, const struct http_request *r)
{
  long timeout = r->timeout_ms > 0 ? (long)r->timeout_ms : DEFAULT_TIMEOUT_MS;
  long whole = r->path ? 0 : timeout;
  if (r->deadline_ms > 0 && (whole == 0 || r->deadline_ms < whole)) whole = (long)r->deadline_ms;
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, whole);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, r->path ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, r->path ? (timeout + 999) / 1000 : 0L);
}

static void set_route(struct http_exchange *x, const struct http_request *r)
{
  const char *proxy = r->proxy ? r->proxy : x->target->loopback ? "" : NULL;
  bool through = proxy && *proxy;
  curl_easy_setopt(x->easy, CURLOPT_PROXY, proxy);
  /* One request a connection gains nothing from HTTP/2, and would lose the resumption of its TLS session. */
  curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, through ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(x->easy, CURLOPT_NOPROXY, through ? "" : NULL);
  curl_easy_setopt(x->easy, CURLOPT_DNS_CACHE_TIMEOUT, through ? 0L : 60L);
  curl_easy_setopt(x->easy, CURLOPT_FORBID_REUSE, through ? 1L : 0L);
  curl_easy_setopt(x->easy, CURLOPT_FRESH_CONNECT, through || r->fresh ? 1L : 0L);
}

static void set_options(struct http_exchange *x)
{
  const struct http_request *r = &x->request;
  CURL *easy = x->easy;
  curl_easy_setopt(easy, CURLOPT_CURLU, x->target->url);
  set_method(easy, r);
  set_times(easy, r);
  set_route(x, r);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->headers);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, r->redirects > 0 ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)r->redirects);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, r->path ? (long)DOWNLOAD_BUFFER : (long)CURL_MAX_WRITE_SIZE);
  curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, r->bearer);
  curl_easy_setopt(easy, CURLOPT_HTTPAUTH, r->bearer ? CURLAUTH_BEARER : CURLAUTH_BASIC);
}

/* --- starting --- */

static CURLMcode start(struct http_exchange *x)
{
  x->queued = false;
  return curl_multi_add_handle(x->owner->multi, x->easy);
}

static void enqueue(struct http_exchange *x)
{
  struct http *http = x->owner;
  x->queued = true;
  x->next_queued = NULL;
  if (http->first_queued)
    http->last_queued->next_queued = x;
  else
    http->first_queued = x;
  http->last_queued = x;
}

static void dequeue(struct http_exchange *x)
{
  struct http *http = x->owner;
  struct http_exchange **at = &http->first_queued, *before = NULL;
  while (*at != x) {
    before = *at;
    at = &before->next_queued;
  }
  *at = x->next_queued;
  if (http->last_queued == x) http->last_queued = before;
  x->queued = false;
}

static bool start_queued(void *arg, int ready)
{
  struct http *http = arg;
  if (!http->first_queued) return false;
  if (ready > QUIET && ++http->put_off < MOST_PUT_OFF) return true;
  http->put_off = 0;
  for (int room = STARTS_A_TURN; room > 0 && http->first_queued; room--) {
    struct http_exchange *x = http->first_queued;
    dequeue(x);
    if (start(x) == CURLM_OK) continue;
    x->code = CURLE_FAILED_INIT;
    end(x);
  }
  return http->first_queued;
}

static bool prepare(struct http *http, struct error *err)
{
  if (http->multi) return true;
  http->multi = loop_curl(http->loop);
  if (!http->multi) {
    error_set(err, ERROR_INTERNAL, "libcurl cannot start");
    return false;
  }
  curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
  loop_on_transfers(http->loop, collect, http->loop);
  http->starter = (struct loop_starter){.start = start_queued, .arg = http};
  loop_add_starter(http->loop, &http->starter);
  return true;
}

static void reset(struct http_exchange *x, const struct http_request *request)
{
  x->target = x->owner->target;
  x->target->holders++;
  x->request = *request;
  if (x->request.max_body == 0) x->request.max_body = HTTP_MAX_BODY;
  x->code = CURLE_OK;
  x->sent = x->too_large = x->has_head = false;
  x->status = 0;
  x->sends = 0;
  x->text[0] = '\0';
  x->failure = ERROR_INIT;
}

struct http_exchange *http_send(struct http *http, const struct http_request *request,
                                void (*done)(void *arg, struct http_exchange *exchange), void *arg, struct error *err)
{
  if (!prepare(http, err) || !find_target(http, request->url, err)) return NULL;
  struct http_exchange *x = take(http);
  if (!x) {
    error_set(err, ERROR_INTERNAL, "out of memory for a request");
    return NULL;
  }
  reset(x, request);
  x->done = done;
  x->arg = arg;
  set_options(x);
  CURLMcode code = CURLM_OK;
  if (request->proxy && *request->proxy)
    enqueue(x);
  else
    code = start(x);
  if (code != CURLM_OK) {
    error_set(err, ERROR_INTERNAL, "libcurl cannot start a request: %s", curl_multi_strerror(code));
    http_release(x);
    return NULL;
  }
  link_in(&http->active, x);
  loop_hold(http->loop);
  return x;
}

void http_cancel(struct http_exchange *x)
{
  if (x->queued)
    dequeue(x);
  else
    curl_multi_remove_handle(x->owner->multi, x->easy);
  unlink_from(&x->owner->active, x);
  loop_release(x->owner->loop);
  file_abandon(&x->file);
}

/* --- what came of it --- */

void http_explain(const struct http_exchange *x, struct error *err)
{
  const char *text = x->text[0] ? x->text : curl_easy_strerror(x->code);
  if (x->failure.kind != ERROR_NONE)
    error_set(err, x->failure.kind, "%s", x->failure.message);
  else if (x->too_large)
    error_set(err, ERROR_PROTOCOL,
              "the answer is larger than %zu bytes; ask for less, or download it to a file with path=",
              x->request.max_body);
  else if (x->code == CURLE_OPERATION_TIMEDOUT)
    error_set(err, ERROR_TIMEOUT, "%s", text);
  else if (x->code == CURLE_WRITE_ERROR && x->has_head)
    error_set(err, ERROR_PROTOCOL, "the answer cannot be taken: %s", text);
  else if (x->code == CURLE_BAD_CONTENT_ENCODING || x->code == CURLE_TOO_MANY_REDIRECTS ||
           x->code == CURLE_WEIRD_SERVER_REPLY || x->code == CURLE_UNSUPPORTED_PROTOCOL ||
           (x->code == CURLE_WRITE_ERROR && !x->has_head))
    error_set(err, ERROR_PROTOCOL, "the answer cannot be read: %s", text);
  else
    error_set(err, ERROR_NETWORK, "%s", text);
}

int64_t http_time(const struct http_exchange *x, CURLINFO which)
{
  curl_off_t time = 0;
  curl_easy_getinfo(x->easy, which, &time);
  return time;
}

double http_retry_after(const struct http_exchange *x)
{
  curl_off_t seconds = 0;
  curl_easy_getinfo(x->easy, CURLINFO_RETRY_AFTER, &seconds);
  return seconds > 0 ? (double)seconds : -1;
}
