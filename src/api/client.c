#include "api/client.h"
#include "api/response.h"
#include "api/secret.h"
#include "net/curl_library.h"
#include "net/trace.h"
#include "net/url.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#define ATTEMPTS 3
#define BACKOFF_US INT64_C(500000) /* the first backoff is at most this, doubled each time */
#define MAX_BACKOFF_US INT64_C(8000000)
#define MAX_REFUSALS 20              /* 429s for one call */
#define DEADLINE_EXCHANGES 2         /* a call's deadline, in timeouts of one HTTP request */
#define MARGIN_US INT64_C(1000000)   /* of a lease, beyond the time of its HTTP request */
#define CONNECT_US INT64_C(30000000) /* a download's silence is timed from its connection on */
#define DOWNLOAD_DEADLINE_US INT64_C(3600000000)

struct client {
  struct loop *loop;
  struct http *http;
  struct client_settings settings;
  char *base_url;
  struct curl_slist *headers[2]; /* of most requests: GET, and all others */
  struct client_call *calls;
  double date; /* what the API last said the time is, seconds since 1970; 0: nothing yet */
  int64_t dated_us;
  bool warned; /* it was reported that the clocks differ */
};

struct client *client_open(struct loop *loop, const struct client_settings *settings,
                           struct error *err)
{
  struct client *client = calloc(1, sizeof *client);
  if (!client) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return NULL;
  }
  client->loop = loop;
  client->settings = *settings;
  client->base_url = url_check_base(settings->base_url, err);
  if (!client->base_url) {
    client_close(client);
    return NULL;
  }
  client->http = http_open(loop);
  if (client->http && (!settings->ca_file || http_set_ca(client->http, settings->ca_file)))
    return client;
  client_close(client);
  error_set(err, ERROR_INTERNAL, "out of memory");
  return NULL;
}

void client_close(struct client *client)
{
  if (!client) return;
  while (client->calls) client_cancel(client->calls);
  http_close(client->http);
  for (int i = 0; i < 2; i++) curl_slist_free_all(client->headers[i]);
  free(client->base_url);
  free(client);
}

const char *client_base_url(const struct client *client)
{
  return client->base_url;
}

double client_clock(const struct client *client)
{
  return client->date > 0 ? client->date + (double)(loop_clock() - client->dated_us) / 1e6 : 0;
}

bool client_clock_skew(const struct client *client, int64_t *local, int64_t *server)
{
  bool known = client->date > 0;
  *local = *server = (int64_t)time(NULL);
  if (known) *server = (int64_t)client_clock(client);
  if (known && client->settings.only_clock) *local = *server;
  return known;
}

static void format_time(int64_t seconds, char text[64])
{
  struct tm parts;
  time_t time = (time_t)seconds;
  if (!gmtime_r(&time, &parts) || strftime(text, 64, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
    snprintf(text, 64, "%" PRId64, seconds);
}

bool client_clocks_agree(const struct client *client, struct error *err)
{
  int64_t local, server;
  char here[64], there[64];
  client_clock_skew(client, &local, &server);
  if (llabs(local - server) <= CLIENT_MAX_SKEW) return true;
  format_time(local, here);
  format_time(server, there);
  error_set(err, ERROR_CONFIG,
            "the local clock (%s) and the API's (%s) differ by more than 24 hours, so nothing is "
            "bought: set the local clock, or run again when the API's is right",
            here, there);
  return false;
}

/* Without a warning, commands with a wrong clock would skip due work. */
static void warn_of_clocks(struct client *client)
{
  struct error err = ERROR_INIT;
  char text[sizeof err.message + 80];
  if (client->warned || client_clocks_agree(client, &err)) return;
  client->warned = true;
  snprintf(text, sizeof text, "%s; what is due by either clock is due", err.message);
  client->settings.warn(client->settings.report_arg, text);
}

static void take_date(struct client *client, struct http_transfer *x)
{
  double date = x->has_head ? http_date(x) : 0;
  if (date <= 0) return;
  client->date = date;
  client->dated_us = loop_clock();
  warn_of_clocks(client);
}

/* Accounts for the slots of an HTTP request, once, at any outcome. */
static void settle_slots(struct client_call *call)
{
  if (!call->has_slots) return;
  call->has_slots = false;
  const struct http_transfer *x = call->exchange;
  if (!x || !x->sent)
    limiter_not_sent(&call->ticket);
  else if (!x->has_head)
    limiter_no_response(&call->ticket);
}

static void drop_transfer(struct client_call *call)
{
  if (call->exchange) http_release(call->exchange);
  call->exchange = NULL;
}

/* Removes the key from a response that quotes it, before a script sees it. */
static void scrub(struct client_call *call)
{
  const struct secret *key = call->client->settings.key;
  secret_scrub(key, call->error.message);
  struct buffer *body = call->exchange ? &call->exchange->body : NULL;
  if (!body || body->size == 0) return;
  body->size = secret_scrub_bytes(key, body->data, body->size);
  body->data[body->size] = '\0';
}

/* Parses the response; what is not JSON, or was asked for as a text, is left as it is. */
static void parse(struct client_call *call)
{
  const struct endpoint *endpoint = call->request.endpoint;
  struct http_transfer *x = call->exchange;
  bool as_text = endpoint && endpoint->text && call->error.kind == ERROR_NONE;
  if (x && x->body.size > 0 && !as_text) json_parse(&x->json, x->body.data, x->body.size);
}

static void finish(struct client_call *call)
{
  settle_slots(call);
  call->state = CALL_DONE;
  call->error.endpoint = call->request.endpoint ? call->request.endpoint->name : NULL;
  scrub(call);
  parse(call);
  call->done(call->arg, call);
}

static void fail(struct client_call *call, enum error_kind kind, const char *message)
{
  error_set(&call->error, kind, "%s", message);
  finish(call);
}

static int64_t jitter(int attempt)
{
  int64_t most = BACKOFF_US << (attempt - 1);
  uint64_t random = 0;
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
    random = (uint64_t)loop_clock();
  return (int64_t)(random % (uint64_t)((most < MAX_BACKOFF_US ? most : MAX_BACKOFF_US) + 1));
}

static void take_slots(struct client_call *call);

static void after_backoff(void *arg)
{
  struct client_call *call = arg;
  call->left_us -= loop_clock() - call->began_us;
  take_slots(call);
}

static void report(const struct client_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void report(const struct client_call *call, const char *format, ...)
{
  const struct client_settings *settings = &call->client->settings;
  if (!settings->report) return;
  char what[512], line[640];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  const struct client_request *r = &call->request;
  snprintf(line, sizeof line, "%s: %s", r->endpoint ? r->endpoint->name : r->path, what);
  secret_scrub(settings->key, line);
  settings->report(settings->report_arg, line);
}

/* Whether a kept connection had died. Its retry is immediate. */
static bool died_idle(const struct http_transfer *x)
{
  return x->code == CURLE_ABORTED_BY_CALLBACK && x->sends > 1;
}

static bool is_worth_another(const struct client_call *call)
{
  const struct http_transfer *x = call->exchange;
  if (call->attempts >= ATTEMPTS) return false;
  if (call->error.kind == ERROR_NONE || (x->code == CURLE_OK && x->status < 500)) return false;
  if (call->error.kind != ERROR_NETWORK && call->error.kind != ERROR_TIMEOUT &&
      call->error.kind != ERROR_UPSTREAM)
    return false;
  if (call->request.kind == ENDPOINT_SAFE) return true;
  return call->request.kind == ENDPOINT_ONCE && !x->sent;
}

static bool try_again(struct client_call *call)
{
  if (!is_worth_another(call)) return false;
  int64_t wait = died_idle(call->exchange) ? 0 : jitter(call->attempts);
  if (wait >= call->left_us) return false;
  if (!loop_timer_set(call->client->loop, &call->timer, wait, after_backoff, call)) return false;
  report(call, "%s; attempt %d of %d in %.1f s", call->error.message, call->attempts + 1, ATTEMPTS,
         (double)wait / 1e6);
  settle_slots(call);
  drop_transfer(call);
  call->began_us = loop_clock();
  call->state = CALL_BACKOFF;
  call->error = ERROR_INIT;
  return true;
}

static const struct {
  int status;
  enum error_kind kind;
  const char *text;
} refusals[] = {
    {400, ERROR_INVALID, "the API refused the parameters"},
    {401, ERROR_AUTH, "the API did not accept the API key"},
    {402, ERROR_FUNDS, "the balance is too low for this order"},
    {403, ERROR_FORBIDDEN, "this account has no access to this resource"},
    {404, ERROR_NOT_FOUND, "the API does not have this resource"},
    {408, ERROR_TIMEOUT, "the server waited too long for the request"},
};

static void explain_status(struct client_call *call)
{
  int status = (int)call->exchange->status;
  call->error.status = status;
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    if (refusals[i].status != status) continue;
    error_set(&call->error, refusals[i].kind, "%s (HTTP %d)", refusals[i].text, status);
    return;
  }
  if (status >= 500)
    error_set(&call->error, ERROR_UPSTREAM, "the API or the provider behind it failed (HTTP %d)",
              status);
  else if (status >= 400)
    error_set(&call->error, ERROR_INVALID, "the API refused the request (HTTP %d)", status);
  else
    error_set(&call->error, ERROR_PROTOCOL,
              "the server responded with HTTP %d; redirects are not followed with the key, "
              "check the base URL",
              status);
}

/* Seconds that all pauses of the call may take together. */
static double longest_pause(const struct client_call *call)
{
  double own = call->request.max_wait;
  return own >= 0 ? own : call->client->settings.max_wait;
}

/* Pauses the scopes, and fills in the error. */
static void take_pause(struct client_call *call)
{
  double asked = http_retry_after(call->exchange);
  double seconds = limiter_rate_limited(&call->ticket, asked);
  report(call, "the API responded with 429 and %s; the pause is %.0f s",
         asked > 0 ? "a Retry-After" : "without a usable Retry-After", seconds);
  call->has_slots = false;
  call->refused += seconds;
  bool often = ++call->refusals > 1; /* a single long pause is the limiter's to judge */
  call->may_repeat =
      call->refusals <= MAX_REFUSALS && !(often && call->refused > longest_pause(call));
  call->error = ERROR_INIT;
  call->error.status = 429;
  call->error.retry_after = seconds;
  error_set(&call->error, ERROR_RATE_LIMITED, "%s",
            call->may_repeat
                ? "the API responded with 429: too many requests"
                : "the API responds with 429 again and again; another program may use this key, "
                  "or the API counts differently");
}

/* A gateway's 429 may hide that the origin has charged. The caller, which has the journal entry,
 * decides the outcome of a charge. */
static void on_pause(struct client_call *call)
{
  take_pause(call);
  if (call->request.kind == ENDPOINT_CHARGE) {
    finish(call);
    return;
  }
  drop_transfer(call);
  call->sent = false; /* what was sent is refused */
  call->attempts--;
  if (!call->may_repeat) {
    finish(call);
    return;
  }
  call->error = ERROR_INIT;
  take_slots(call);
}

static void take_others(struct client_call *call);

/* The server's own words, if an error document came in the place of a file. */
static void explain_file(struct client_call *call)
{
  const struct http_transfer *x = call->exchange;
  struct json_document document = {0};
  if (x->start_size > 0 && json_parse(&document, x->start, x->start_size) &&
      unwrap_is_failure(document.root, RECORD_ORDER, false)) {
    error_set(&call->error, ERROR_UPSTREAM, "the API reported an error");
    response_error_document(document.root, &call->error);
  }
  json_free(&document);
}

static void on_done(void *arg, struct http_transfer *x)
{
  struct client_call *call = arg;
  const struct client_request *r = &call->request;
  call->left_us -= loop_clock() - call->began_us;
  call->sent |= x->sent;
  take_date(call->client, x);
  trace_transfer(call->client->settings.trace, r->endpoint ? r->endpoint->name : NULL,
                 call->attempts, x);
  if (x->has_head && x->status == 429) { /* even if its body failed */
    on_pause(call);
    return;
  }
  if (call->late) {
    call->attempts--;
    take_others(call);
    return;
  }
  call->error.status = (int)x->status;
  if (x->code != CURLE_OK)
    http_explain(x, &call->error);
  else if (x->status / 100 != 2)
    explain_status(call);
  if (try_again(call)) return;
  if (x->code != CURLE_OK) explain_file(call);
  finish(call);
}

static void on_headed(void *arg)
{
  struct client_call *call = arg;
  if (call->exchange->status != 429) limiter_responded(&call->ticket);
}

/* Why a response is not the file of a download: it is a gateway's page, has no content, or is the
 * API's error. NULL if it may be the file. */
static const char *refuse_file(long status, const char *type)
{
  if (status != 200) return "the server responded without a file";
  if (strncasecmp(type, "text/html", 9) == 0)
    return "the server sent an HTML page instead of the file";
  return NULL;
}

/* Skips a JSON string behind its opening quote; returns the place of its closing one, or `size`. */
static size_t string_end(const char *text, size_t size, size_t at)
{
  while (at < size && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
  return at < size ? at : size;
}

static size_t skip_blanks(const char *text, size_t size, size_t at)
{
  while (at < size && strchr(" \t\r\n", text[at])) at++;
  return at;
}

/* Whether an object has the member `error`, or `success` with the value false. */
static bool is_error_document(const char *text, size_t size)
{
  int depth = 0;
  for (size_t at = 0; at < size; at++) {
    if (text[at] == '{' || text[at] == '[') depth++;
    if (text[at] == '}' || text[at] == ']') depth--;
    if (text[at] != '"') continue;
    size_t name = at + 1;
    at = string_end(text, size, name);
    size_t colon = skip_blanks(text, size, at + 1), length = at - name;
    if (depth != 1 || colon >= size || text[colon] != ':') continue;
    size_t value = skip_blanks(text, size, colon + 1);
    if (length == 5 && memcmp(text + name, "error", 5) == 0 &&
        !(size - value >= 4 && memcmp(text + value, "null", 4) == 0))
      return true;
    if (length == 7 && memcmp(text + name, "success", 7) == 0 && size - value >= 5 &&
        memcmp(text + value, "false", 5) == 0)
      return true;
  }
  return false;
}

static const char *refuse_json_file(const char *start, size_t size)
{
  size_t at = skip_blanks(start, size, 0);
  if (at < size && start[at] == '<')
    return "the server sent an HTML or XML page instead of the file";
  return at < size && start[at] == '{' && is_error_document(start + at, size - at)
             ? "the server sent an error document instead of the file"
             : NULL;
}

/* A line of text may begin with [ (an IPv6 address), not with { or with a list of JSON. */
static const char *refuse_text_file(const char *start, size_t size)
{
  size_t at = skip_blanks(start, size, 0);
  if (at < size && start[at] == '[') {
    size_t next = skip_blanks(start, size, at + 1);
    if (next < size && strchr("{[\"]", start[next])) at = next;
  }
  if (at < size && (start[at] == '{' || start[at] == '"'))
    return "the server sent a JSON document instead of the text";
  return refuse_json_file(start, size);
}

/* The format that a download asks for. */
static bool asks_for(const struct client_request *r, const char *format)
{
  return r->query && strstr(r->query, format);
}

static bool is_file(const struct client_request *r)
{
  return r->endpoint && r->endpoint->text;
}

static bool may_send(void *arg)
{
  struct client_call *call = arg;
  call->late = limiter_lease_left(&call->ticket) <= SLOTS_NO_RESPONSE_TIME;
  return !call->late && (!call->request.may_send || call->request.may_send(call->arg));
}

/* Milliseconds that an HTTP request may take, so that it has ended before its lease, even without a
 * response; 0: too little time is left. */
static int64_t transfer_time(const struct client_call *call)
{
  int64_t wanted = (int64_t)(call->client->settings.timeout * 1e6);
  int64_t lease = limiter_lease_left(&call->ticket) - SLOTS_NO_RESPONSE_TIME;
  if (wanted > SLOTS_LONGEST_LEASE / 2 || (call->request.save_as && lease > wanted))
    return wanted / 1000;
  return lease < wanted / 2 ? 0 : (lease < wanted ? lease : wanted) / 1000;
}

/* The process, the machine or the store was suspended. Another request may have the slots now. */
static void take_others(struct client_call *call)
{
  report(call, "its rate-limit slots expired before it was sent; waiting for new ones");
  settle_slots(call);
  drop_transfer(call);
  call->late = false;
  take_slots(call);
}

static size_t scrub_key(const void *key, char *bytes, size_t size)
{
  return secret_scrub_bytes(key, bytes, size);
}

static const char *accept_of(const struct client_request *r)
{
  if (!is_file(r) || asks_for(r, "format=json")) return "Accept: application/json";
  return asks_for(r, "format=csv") ? "Accept: text/csv" : "Accept: text/plain";
}

static bool add_header(struct curl_slist **list, const char *line)
{
  struct curl_slist *longer = curl_slist_append(*list, line);
  if (longer) *list = longer;
  return longer;
}

/* The headers of a call, its own where they are not those of most. NULL if out of memory. */
static const struct curl_slist *headers_of(struct client_call *call)
{
  const struct client_request *r = &call->request;
  const char *key = r->idempotency_key;
  bool changes = r->method && strcmp(r->method, "GET") != 0;
  struct curl_slist **list = key || is_file(r) ? &call->headers : &call->client->headers[changes];
  char line[320];
  if (*list) return *list;
  if (key) snprintf(line, sizeof line, "Idempotency-Key: %s", key);
  if (add_header(list, accept_of(r)) &&
      (!changes || add_header(list, "Content-Type: application/json")) &&
      (!key || add_header(list, line)))
    return *list;
  curl_slist_free_all(*list);
  return *list = NULL;
}

void client_go(struct client_call *call)
{
  struct client *client = call->client;
  const struct client_request *r = &call->request;
  if (call->left_us <= 0) {
    fail(call, ERROR_TIMEOUT, "the call's deadline has passed; give it a longer timeout=");
    return;
  }
  int64_t timeout = transfer_time(call), left = call->left_us / 1000 + 1;
  if (timeout == 0) {
    take_others(call);
    return;
  }
  const struct curl_slist *headers = NULL;
  bool opened = curl_library_open(&call->error);
  if (opened) headers = headers_of(call);
  if (opened && !headers) error_set(&call->error, ERROR_INTERNAL, "out of memory");
  if (!headers) {
    finish(call);
    return;
  }
  struct http_request request = {
      .method = r->method,
      .url = call->url,
      .headers = headers,
      .body = r->body,
      .body_size = r->body_size,
      .bearer = secret_text(client->settings.key),
      .timeout_ms = timeout < left || r->save_as ? timeout : left,
      .deadline_ms = left,
      .path = r->save_as,
      .scrub = scrub_key,
      .scrub_arg = client->settings.key,
      .scrub_hold = secret_spelling_size(client->settings.key),
      .fresh = r->kind == ENDPOINT_CHARGE,
      .once = true,
      .may_send = may_send,
      .headed = on_headed,
      .refuse = is_file(r) ? refuse_file : NULL,
      .refuse_body = !is_file(r)                  ? NULL
                     : asks_for(r, "format=json") ? refuse_json_file
                                                  : refuse_text_file,
  };
  call->attempts++;
  call->state = CALL_EXCHANGE;
  call->began_us = loop_clock();
  call->exchange = http_send(client->http, &request, on_done, call, &call->error);
  if (!call->exchange) finish(call);
}

void client_stop(struct client_call *call, const struct error *err)
{
  call->error = *err;
  finish(call);
}

static void on_slots(void *arg, const struct error *err)
{
  struct client_call *call = arg;
  if (err) {
    client_stop(call, err);
    return;
  }
  call->has_slots = true;
  call->state = CALL_PREPARE;
  if (call->request.prepare)
    call->request.prepare(call->arg, call);
  else
    client_go(call);
}

static void take_slots(struct client_call *call)
{
  const struct client_settings *settings = &call->client->settings;
  unsigned scopes = LIMITER_GENERAL | (call->request.order_scope ? LIMITER_ORDERS : 0);
  call->state = CALL_SLOTS;
  /* A process that is killed at the last moment leaves a request without a response like any
   * other. */
  int64_t longest = (int64_t)(settings->timeout * 1e6) + (call->request.save_as ? CONNECT_US : 0);
  int64_t lease = longest + SLOTS_NO_RESPONSE_TIME + MARGIN_US;
  limiter_take(settings->limiter, &call->ticket, scopes, lease, call->request.max_wait, on_slots,
               call);
}

static bool build(struct client_call *call)
{
  const struct client_request *r = &call->request;
  const char *base = call->client->base_url;
  size_t size = strlen(base) + strlen(r->path) + (r->query ? strlen(r->query) : 0) + 2;
  call->url = malloc(size);
  if (call->url)
    snprintf(call->url, size, "%s%s%s%s", base, r->path, r->query ? "?" : "",
             r->query ? r->query : "");
  return call->url;
}

static int64_t deadline_of(const struct client *client, const struct client_request *request)
{
  if (request->timeout > 0) return (int64_t)(request->timeout * 1e6);
  if (request->save_as) return DOWNLOAD_DEADLINE_US;
  return (int64_t)(client->settings.timeout * 1e6) * DEADLINE_EXCHANGES;
}

struct client_call *client_send(struct client *client, const struct client_request *request,
                                void (*done)(void *arg, struct client_call *call), void *arg)
{
  struct client_call *call = calloc(1, sizeof *call);
  if (!call) return NULL;
  call->client = client;
  call->request = *request;
  call->error = ERROR_INIT;
  call->done = done;
  call->arg = arg;
  call->left_us = deadline_of(client, request);
  call->refusals = request->refusals;
  call->refused = request->refused;
  call->next = client->calls;
  if (call->next) call->next->previous = call;
  client->calls = call;
  if (build(call)) {
    take_slots(call);
    return call;
  }
  client_release(call);
  return NULL;
}

void client_release(struct client_call *call)
{
  if (call->previous)
    call->previous->next = call->next;
  else
    call->client->calls = call->next;
  if (call->next) call->next->previous = call->previous;
  drop_transfer(call);
  curl_slist_free_all(call->headers);
  free(call->url);
  free(call);
}

void client_cancel(struct client_call *call)
{
  if (call->state == CALL_SLOTS) limiter_cancel(&call->ticket);
  if (call->state == CALL_BACKOFF) loop_timer_clear(call->client->loop, &call->timer);
  if (call->state == CALL_EXCHANGE) {
    http_cancel(call->exchange);
    call->sent |= call->exchange->sent;
  }
  settle_slots(call);
  client_release(call);
}
