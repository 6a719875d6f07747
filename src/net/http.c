#include "net/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/curl_library.h"
#include "net/http_private.h"

#define POOL_LARGEST 1024    /* idle handles kept */
#define KEPT_BODY (64 << 10) /* bytes of body buffer an idle handle keeps */
#define CONNECTIONS_KEPT \
  4096 /* at least the number in flight, or libcurl closes what it should keep */

/* Older versions of libcurl append a head's first line that begins with a blank to a header of the
 * handle's previous response, which they have freed (https://github.com/curl/curl/issues/11101). */
#define KEEPS_HANDLES 0x080200 /* version 8.2.0 */

/* Where distributions keep the CA certificates; the first is Debian's. */
static const char *const ca_bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                         "/etc/pki/tls/certs/ca-bundle.crt",
                                         "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                                         "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};

/* Each request through a proxy opens a connection, and a thousand that start at once evict each
 * other from the processor's caches. This many start in a turn, and only if the previous turn had
 * few events or is long ago. */
#define STARTS_A_TURN 16
#define QUIET 4
#define MAX_PUT_OFF 1000

static void link_in(struct http_transfer **list, struct http_transfer *x)
{
  x->next = *list;
  x->previous = NULL;
  if (x->next) x->next->previous = x;
  *list = x;
}

static void unlink_from(struct http_transfer **list, struct http_transfer *x)
{
  if (x->previous)
    x->previous->next = x->next;
  else
    *list = x->next;
  if (x->next) x->next->previous = x->previous;
}

static void destroy(struct http_transfer *x)
{
  if (x->easy) curl_easy_cleanup(x->easy);
  file_abandon(&x->file);
  decoder_close(x->decoder);
  json_free(&x->json);
  buffer_free(&x->body);
  buffer_free(&x->head);
  free(x);
}

static struct http_transfer *take(struct http *http)
{
  struct http_transfer *x = http->idle;
  if (x) {
    unlink_from(&http->idle, x);
    http->idle_count--;
  } else {
    x = calloc(1, sizeof *x);
    if (!x) return NULL;
    x->file = FILE_INIT;
    x->owner = http;
  }
  if (x->easy) return x;
  x->easy = curl_easy_init();
  if (!x->easy) {
    destroy(x);
    return NULL;
  }
  options_set_once(x);
  return x;
}

void http_release(struct http_transfer *x)
{
  struct http *http = x->owner;
  target_drop(x->target);
  x->target = NULL;
  file_abandon(&x->file);
  decoder_close(x->decoder);
  x->decoder = NULL;
  json_free(&x->json);
  x->head.size = x->body.size = x->start_size = 0;
  if (x->body.capacity > KEPT_BODY) buffer_free(&x->body);
  if (http->idle_count >= POOL_LARGEST) {
    destroy(x);
    return;
  }
  if (!http->keeps_handles) {
    curl_easy_cleanup(x->easy);
    x->easy = NULL;
  } else if (x->sends > 1 || x->code != CURLE_OK) {
    /* libcurl counts over a handle's whole life how often it sent again because a kept connection
     * had died, and gives up at the sixth; only a reset clears the count. */
    curl_easy_reset(x->easy);
    options_set_once(x);
  } else if (x->request.bearer) {
    curl_easy_setopt(x->easy, CURLOPT_XOAUTH2_BEARER, NULL);
  }
  link_in(&http->idle, x);
  http->idle_count++;
}

/* libcurl takes a response that ends within its head for a complete one. */
static void judge_response(struct http_transfer *x)
{
  const struct http_request *r = &x->request;
  bool cut = x->ends_with_tls && !x->tls_closed;
  if (!x->has_head) {
    snprintf(x->text, sizeof x->text, "the connection ended within the head of the response");
    x->code = CURLE_RECV_ERROR;
    return;
  }
  if (cut || !decoder_is_whole(x)) {
    snprintf(x->text, sizeof x->text, "%s",
             cut ? "the connection ended without a TLS close_notify, so the body may be cut off"
                 : "the compressed body ended early");
    x->code = CURLE_PARTIAL_FILE;
    return;
  }
  if (!r->refuse_body || x->status / 100 != 2) return;
  const char *why = r->refuse_body(x->start, x->start_size);
  if (!why) return;
  error_set(&x->failure, ERROR_PROTOCOL, "%s", why);
  x->code = CURLE_WRITE_ERROR;
}

static void end(struct http_transfer *x)
{
  unlink_from(&x->owner->active, x);
  loop_release(x->owner->loop);
  if (x->code == CURLE_OK) judge_response(x);
  if (x->code == CURLE_OK && x->request.refuse && x->status / 100 == 2 && x->body.size == 0 &&
      x->file.size == 0) {
    error_set(&x->failure, ERROR_PROTOCOL, "the server sent an empty file");
    x->code = CURLE_WRITE_ERROR;
  }
  if (x->code == CURLE_OK && x->file.fd >= 0 &&
      !(http_write_file(x, "", 0, true) && file_commit(&x->file, &x->failure)))
    x->code = CURLE_WRITE_ERROR;
  if (x->code != CURLE_OK) file_abandon(&x->file);
  x->done(x->arg, x);
}

/* The time of a request that is sent again counts from its first sending. */
static bool keep_deadline(struct http_transfer *x)
{
  int64_t timeout = x->request.timeout_ms;
  if (x->request.path || timeout <= 0) return true;
  timeout -= http_time(x, CURLINFO_TOTAL_TIME_T) / 1000;
  if (timeout <= 0) return false;
  return curl_easy_setopt(x->easy, CURLOPT_TIMEOUT_MS, (long)timeout) == CURLE_OK;
}

/* Handles a proxy's 407. For Digest or NTLM the request is sent again, once, since the proxy did
 * not forward it. Basic credentials are sent with the first request, which saves a round trip. */
static bool negotiate(struct http_transfer *x)
{
  long offered = 0, connect = 0, status = 0, better;
  if (!x->request.proxy || !*x->request.proxy || x->request.may_send || x->request.headed)
    return false;
  curl_easy_getinfo(x->easy, CURLINFO_HTTP_CONNECTCODE, &connect);
  curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
  if (connect != 407 && status != 407) return false;
  curl_easy_getinfo(x->easy, CURLINFO_PROXYAUTH_AVAIL, &offered);
  better = offered & (long)(CURLAUTH_DIGEST | CURLAUTH_NTLM);
  snprintf(x->asked_for, sizeof x->asked_for, "%s%s%s",
           offered & (long)CURLAUTH_BASIC ? "Basic" : "",
           offered & (long)CURLAUTH_DIGEST ? " Digest" : "",
           offered & (long)CURLAUTH_NTLM ? " NTLM" : "");
  if (x->asked_for[0] == ' ') memmove(x->asked_for, x->asked_for + 1, strlen(x->asked_for));
  if (x->negotiates || !better || offered & (long)CURLAUTH_BASIC || !keep_deadline(x)) return false;
  if (curl_easy_setopt(x->easy, CURLOPT_PROXYAUTH, better) != CURLE_OK) return false;
  x->negotiates = true;
  x->has_head = false;
  x->asked_for[0] = x->text[0] = '\0';
  x->sends = 0;
  x->body.size = x->head.size = x->start_size = 0;
  return curl_multi_add_handle(x->owner->multi, x->easy) == CURLM_OK;
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
    struct http_transfer *x = NULL;
    CURLcode code = message->data.result;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &x);
    curl_multi_remove_handle(multi, x->easy);
    any = true;
    if (negotiate(x)) continue;
    x->code = code;
    end(x);
  }
  return any;
}

static const char *find_ca(void)
{
  const char *named = getenv("SSL_CERT_FILE");
  if (named && *named) return named;
  for (size_t i = 0; i < sizeof ca_bundles / sizeof ca_bundles[0]; i++)
    if (access(ca_bundles[i], R_OK) == 0) return ca_bundles[i];
  return ca_bundles[0];
}

bool http_set_ca(struct http *http, const char *path)
{
  char *copy = strdup(path);
  if (!copy) return false;
  free(http->ca);
  http->ca = copy;
  return true;
}

struct http *http_open(struct loop *loop)
{
  struct http *http = calloc(1, sizeof *http);
  if (!http) return NULL;
  http->loop = loop;
  http->ca = strdup(find_ca());
  if (http->ca) return http;
  free(http);
  return NULL;
}

void http_close(struct http *http)
{
  if (!http) return;
  while (http->active) {
    struct http_transfer *x = http->active;
    http_cancel(x);
    http_release(x);
  }
  while (http->idle) {
    struct http_transfer *x = http->idle;
    unlink_from(&http->idle, x);
    destroy(x);
  }
  loop_remove_starter(http->loop, &http->starter);
  if (http->sessions) curl_share_cleanup(http->sessions);
  target_drop(http->target);
  free(http->ca);
  free(http);
}

static bool find_target(struct http *http, const char *text, struct error *err)
{
  if (http->target && strcmp(http->target->text, text) == 0) return true;
  struct http_target *target = target_parse(text, err);
  if (!target) return false;
  target_drop(http->target);
  http->target = target;
  return true;
}

static CURLMcode start(struct http_transfer *x)
{
  x->queued = false;
  return curl_multi_add_handle(x->owner->multi, x->easy);
}

static void enqueue(struct http_transfer *x)
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

static void dequeue(struct http_transfer *x)
{
  struct http *http = x->owner;
  struct http_transfer **at = &http->first_queued, *before = NULL;
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
  if (ready > QUIET && ++http->put_off < MAX_PUT_OFF) return true;
  http->put_off = 0;
  for (int room = STARTS_A_TURN; room > 0 && http->first_queued; room--) {
    struct http_transfer *x = http->first_queued;
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
  if (!curl_library_open(err)) return false;
  http->sessions = curl_share_init();
  http->multi = http->sessions ? loop_curl(http->loop) : NULL;
  if (!http->multi) {
    curl_share_cleanup(http->sessions);
    http->sessions = NULL;
    error_set(err, ERROR_INTERNAL, "libcurl cannot start");
    return false;
  }
  const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
  http->keeps_handles = version && version->version_num >= KEEPS_HANDLES;
  curl_share_setopt(http->sessions, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
  loop_on_transfers(http->loop, collect, http->loop);
  http->starter = (struct loop_starter){.start = start_queued, .arg = http};
  loop_add_starter(http->loop, &http->starter);
  return true;
}

static void reset(struct http_transfer *x, const struct http_request *request)
{
  x->target = x->owner->target;
  x->target->holders++;
  x->request = *request;
  if (x->request.max_body == 0) x->request.max_body = HTTP_MAX_BODY;
  x->code = CURLE_OK;
  x->ends_with_tls = x->tls_closed = false;
  x->sent = x->too_large = x->kept_in = x->has_head = false;
  x->status = 0;
  x->sends = 0;
  x->trailer_bytes = 0;
  x->date = -1;
  x->negotiates = false;
  x->asked_for[0] = x->text[0] = '\0';
  x->failure = ERROR_INIT;
}

struct http_transfer *http_send(struct http *http, const struct http_request *request,
                                void (*done)(void *arg, struct http_transfer *transfer), void *arg,
                                struct error *err)
{
  if (request->body && request->method && strcmp(request->method, "HEAD") == 0) {
    error_set(err, ERROR_USAGE,
              "a HEAD request has no body; leave it out, or ask with another method");
    return NULL; /* libcurl would send a POST */
  }
  if (!prepare(http, err) || !find_target(http, request->url, err)) return NULL;
  struct http_transfer *x = take(http);
  if (!x) {
    error_set(err, ERROR_INTERNAL, "out of memory for a request");
    return NULL;
  }
  reset(x, request);
  x->done = done;
  x->arg = arg;
  x->code = options_set(x);
  if (x->code != CURLE_OK) {
    error_set(err, x->code == CURLE_OUT_OF_MEMORY ? ERROR_INTERNAL : ERROR_USAGE,
              "libcurl refuses the URL, method or proxy of a request: %s",
              curl_easy_strerror(x->code));
    http_release(x);
    return NULL;
  }
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

void http_cancel(struct http_transfer *x)
{
  if (x->queued)
    dequeue(x);
  else
    curl_multi_remove_handle(x->owner->multi, x->easy);
  unlink_from(&x->owner->active, x);
  loop_release(x->owner->loop);
  file_abandon(&x->file);
}
