/* The options of libcurl for a request, and the callbacks. */
#include <openssl/ssl.h>
#include <string.h>
#include <strings.h>

#include "base/version.h"
#include "net/address.h"
#include "net/http_private.h"

#define DEFAULT_TIMEOUT_MS 30000
#define CONNECT_TIMEOUT_MS 15000
#define MAX_HEAD (256 << 10) /* bytes of header lines, and of the trailers after them */
#define DOWNLOAD_BUFFER (512 << 10)

bool http_write_file(struct http_transfer *x, const char *bytes, size_t size, bool last)
{
  const struct http_request *r = &x->request;
  if (!r->scrub) return file_write(&x->file, bytes, size, &x->failure);
  if (!buffer_add(&x->body, bytes, size)) return false;
  if (x->body.size == 0) return true;
  size_t whole = r->scrub(r->scrub_arg, x->body.data, x->body.size);
  size_t kept = last ? 0 : whole < r->scrub_hold ? whole : r->scrub_hold;
  if (!file_write(&x->file, x->body.data, whole - kept, &x->failure)) return false;
  memmove(x->body.data, x->body.data + whole - kept, kept);
  x->body.size = kept;
  return true;
}

static void keep_start(struct http_transfer *x, const char *bytes, size_t size)
{
  size_t room = HTTP_START - x->start_size;
  if (size > room) size = room;
  memcpy(x->start + x->start_size, bytes, size);
  x->start_size += size;
}

static bool deliver(struct http_transfer *x, const char *bytes, size_t size)
{
  if (x->request.refuse_body) keep_start(x, bytes, size);
  if (x->file.fd >= 0) return http_write_file(x, bytes, size, false);
  if (size > x->request.max_body - x->body.size) {
    x->too_large = true;
    return false;
  }
  return buffer_add(&x->body, bytes, size);
}

static size_t on_body(char *bytes, size_t one, size_t size, void *arg)
{
  (void)one;
  struct http_transfer *x = arg;
  bool taken = x->decoder ? decoder_take(x, bytes, size, deliver) : deliver(x, bytes, size);
  return taken ? size : CURL_WRITEFUNC_ERROR;
}

static bool is_welcome(struct http_transfer *x)
{
  const char *type = NULL;
  curl_easy_getinfo(x->easy, CURLINFO_CONTENT_TYPE, &type);
  const char *why = x->request.refuse(x->status, type ? type : "");
  if (why) error_set(&x->failure, ERROR_PROTOCOL, "%s", why);
  return !why;
}

static void on_tls_event(const SSL *ssl, int where, int value)
{
  struct http_transfer *x = SSL_get_app_data(ssl);
  bool alert = (where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT;
  if (alert && (value & 0xff) == SSL_AD_CLOSE_NOTIFY) x->tls_closed = true;
}

/* A body without length and chunks is complete only if TLS is closed properly, which libcurl does
 * not check. Such a connection ends with this request. */
static void watch_tls(struct http_transfer *x)
{
  long version = 0;
  curl_off_t length = -1;
  const struct curl_tlssessioninfo *tls = NULL;
  curl_easy_getinfo(x->easy, CURLINFO_HTTP_VERSION, &version);
  curl_easy_getinfo(x->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  if (length >= 0 || version >= CURL_HTTP_VERSION_2_0 || x->status == 204 || x->status == 304 ||
      (x->request.method && strcmp(x->request.method, "HEAD") == 0) ||
      *header_of(x, "Transfer-Encoding"))
    return;
  if (curl_easy_getinfo(x->easy, CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK || !tls ||
      tls->backend != CURLSSLBACKEND_OPENSSL || !tls->internals)
    return;
  if (!SSL_set_app_data((SSL *)tls->internals, x)) return;
  SSL_set_info_callback(tls->internals, on_tls_event);
  x->ends_with_tls = true;
}

/* Whether libcurl goes on to another URL: without one, a status of 3xx is a response like others.
 */
static bool is_redirect(const struct http_transfer *x)
{
  return x->request.redirects > 0 && x->status / 100 == 3 && *header_of(x, "Location");
}

static bool head_complete(struct http_transfer *x)
{
  curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &x->status);
  if (x->status < 200 || is_redirect(x)) return true;
  if (x->has_head) return true; /* the trailers of a chunked body */
  x->has_head = true;
  if (x->request.headed) x->request.headed(x->arg);
  watch_tls(x);
  if (!decoder_open(x)) return false;
  if (x->status / 100 != 2) return true;
  if (x->request.refuse && !is_welcome(x)) return false;
  if (!x->request.path) return true;
  return file_begin(&x->file, x->request.path, 0600, &x->failure);
}

static size_t on_header(char *line, size_t one, size_t size, void *arg)
{
  (void)one;
  struct http_transfer *x = arg;
  if (size <= 2 && (size == 0 || line[0] == '\r' || line[0] == '\n'))
    return head_complete(x) ? size : 0;
  if (x->has_head && (x->trailer_bytes += size) > MAX_HEAD) return 0;
  if (!x->request.keep_head || x->has_head) return size;
  if (size > 5 && strncasecmp(line, "HTTP/", 5) == 0) x->head.size = 0;
  if (x->head.size + size > MAX_HEAD) return 0;
  return buffer_add(&x->head, line, size) ? size : 0;
}

static int on_prereq(void *arg, char *remote, char *local, int remote_port, int local_port)
{
  (void)remote, (void)local, (void)remote_port, (void)local_port;
  struct http_transfer *x = arg;
  if (x->sends++ == 0) {
    if (x->request.may_send && !x->request.may_send(x->arg)) return CURL_PREREQFUNC_ABORT;
    x->sent = true;
  } else if (x->request.once) {
    return CURL_PREREQFUNC_ABORT;
  }
  return CURL_PREREQFUNC_OK;
}

static bool may_connect(const struct http_request *r, const struct sockaddr *to)
{
  return !r->public_only || address_is_public(to) || (r->or_loopback && address_is_loopback(to));
}

/* The checked address is the one that is connected to, so that a second lookup cannot change it. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
  struct http_transfer *x = arg;
  if (may_connect(&x->request, &address->addr))
    return loop_open_socket(x->owner->loop, (int)purpose, address);
  x->kept_in = true;
  return CURL_SOCKET_BAD;
}

static int on_close(void *loop, curl_socket_t fd)
{
  return loop_close_socket(loop, fd);
}

void options_set_once(struct http_transfer *x)
{
  CURL *easy = x->easy;
  struct loop *loop = x->owner->loop;
  curl_easy_setopt(easy, CURLOPT_PRIVATE, x);
  curl_easy_setopt(easy, CURLOPT_SHARE, x->owner->sessions);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prereq);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, x);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, x);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, loop);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->text);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
  curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
  curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "proxylua/" PROXYLUA_VERSION);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
}

static CURLcode set_method(CURL *easy, const struct http_request *r)
{
  bool get = !r->method || strcmp(r->method, "GET") == 0;
  bool head = !get && strcmp(r->method, "HEAD") == 0;
  bool post = !get && strcmp(r->method, "POST") == 0;
  const char *method = get && r->body ? "GET" : get || head || post ? NULL : r->method;
  if (r->body || post) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_size);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body ? r->body : "");
  } else {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, head ? CURLOPT_NOBODY : CURLOPT_HTTPGET, 1L);
  }
  return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

/* A download, whose size is unknown, ends after a time without data; other requests end at their
 * timeout. */
static void set_times(CURL *easy, const struct http_request *r)
{
  long timeout = r->timeout_ms > 0 ? (long)r->timeout_ms : DEFAULT_TIMEOUT_MS;
  long whole = r->path ? 0 : timeout;
  if (r->deadline_ms > 0 && (whole == 0 || r->deadline_ms < whole)) whole = (long)r->deadline_ms;
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, whole);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, r->path ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, r->path ? (timeout + 999) / 1000 : 0L);
}

/* Without its proxy a request would go to the target directly. */
static CURLcode set_route(struct http_transfer *x, const struct http_request *r)
{
  const char *proxy = r->proxy ? r->proxy : x->target->loopback || r->public_only ? "" : NULL;
  bool through = proxy && *proxy;
  CURLcode code = curl_easy_setopt(x->easy, CURLOPT_PROXY, proxy);
  if (code != CURLE_OK) return code;
  /* One request a connection gains nothing from HTTP/2, and would lose the resumption of its TLS
   * session. */
  curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION,
                   through ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(x->easy, CURLOPT_DNS_CACHE_TIMEOUT, through ? 0L : 60L);
  curl_easy_setopt(x->easy, CURLOPT_FORBID_REUSE, through ? 1L : 0L);
  curl_easy_setopt(x->easy, CURLOPT_FRESH_CONNECT, through || r->fresh || r->public_only ? 1L : 0L);
  return curl_easy_setopt(x->easy, CURLOPT_NOPROXY, through ? "" : NULL);
}

CURLcode options_set(struct http_transfer *x)
{
  const struct http_request *r = &x->request;
  CURL *easy = x->easy;
  CURLcode code = curl_easy_setopt(easy, CURLOPT_CURLU, x->target->url);
  if (code == CURLE_OK) code = set_method(easy, r);
  if (code == CURLE_OK) code = set_route(x, r);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, r->bearer);
  if (code != CURLE_OK) return code;
  set_times(easy, r);
  curl_easy_setopt(easy, CURLOPT_CAINFO, x->owner->ca);
  curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, x->owner->ca);
  curl_easy_setopt(easy, CURLOPT_PROXYAUTH, CURLAUTH_BASIC);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->headers);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, r->redirects > 0 ? 1L : 0L);
  /* libcurl counts the steps of an authentication as redirects. */
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, r->redirects > 0 ? (long)r->redirects : -1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE,
                   r->path ? (long)DOWNLOAD_BUFFER : (long)CURL_MAX_WRITE_SIZE);
  curl_easy_setopt(easy, CURLOPT_HTTPAUTH, r->bearer ? CURLAUTH_BEARER : CURLAUTH_BASIC);
  return CURLE_OK;
}
