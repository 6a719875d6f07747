#include "sandbox/server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADERS 64
#define MAX_HEAD 16384
#define MAX_BODY (1 << 20)
#define MAX_READ                                                                                 \
  (MAX_BODY + 2 * MAX_HEAD) /* unread bytes of a connection: a client may send during a response \
                             */
#define IDLE_SECONDS 300

struct server {
  struct event_base *base;
  struct evhttp *http;
  struct rules *rules;
};

/* A request that the rules are processing. evhttp reports no close before the response begins,
 * since it does not read the connection until then. Afterwards, and when the server closes, the
 * close callback reports it. */
struct pending {
  struct server *server;
  struct evhttp_request *request;
  struct evhttp_connection *connection;
  struct rules_call call;
  struct event *timer;
  struct evbuffer *piece;
};

static void end(struct pending *x)
{
  evhttp_connection_set_closecb(x->connection, NULL, NULL);
  rules_end(x->server->rules, &x->call);
  if (x->timer) event_free(x->timer);
  if (x->piece) evbuffer_free(x->piece);
  free(x);
}

/* The connection is freed, and its request with it, unless the connection has given the request up
 * because the client closed it. */
static void on_close(struct evhttp_connection *connection, void *arg)
{
  (void)connection;
  struct pending *x = arg;
  if (!evhttp_request_get_connection(x->request)) evhttp_request_free(x->request);
  end(x);
}

static void cut(struct pending *x)
{
  struct evhttp_connection *connection = x->connection;
  end(x);
  evhttp_connection_free(connection);
}

static void fail(struct pending *x)
{
  static const char body[] = "{\"error\":\"the sandbox failed; see its standard error\"}";
  struct evhttp_request *request = x->request;
  end(x);
  evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "application/json");
  evbuffer_add(evhttp_request_get_output_buffer(request), body, sizeof body - 1);
  evhttp_send_reply(request, 500, NULL, NULL);
}

static void add_header(void *arg, const char *name, const char *value)
{
  evhttp_add_header(evhttp_request_get_output_headers(arg), name, value);
}

static void add_length(struct evhttp_request *request, long long bytes)
{
  char length[24];
  snprintf(length, sizeof length, "%lld", bytes);
  add_header(request, "Content-Length", length);
}

static void send_whole(struct pending *x, const struct rules_response *response)
{
  struct evhttp_request *request = x->request;
  if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
    add_length(request, (long long)response->size);
  else
    evbuffer_add(evhttp_request_get_output_buffer(request), response->body, response->size);
  end(x);
  evhttp_send_reply(request, response->status, NULL, NULL);
}

static void on_drained(struct evhttp_connection *connection, void *arg);

/* False if the piece cannot be sent: the response has no body, or memory is out. */
static bool send_piece(struct pending *x, const char *bytes, size_t size)
{
  if (size == 0 || evhttp_request_get_command(x->request) == EVHTTP_REQ_HEAD) return false;
  if (evbuffer_add(x->piece, bytes, size) != 0) return false;
  evhttp_send_reply_chunk_with_cb(x->request, x->piece, on_drained, x);
  return true;
}

/* A body that is shorter than promised ends with the connection. */
static void send_more(struct pending *x)
{
  size_t size = 0;
  bool failed = true;
  const char *bytes = x->call.L ? rules_more(x->server->rules, &x->call, &size, &failed) : NULL;
  if (bytes && send_piece(x, bytes, size)) return;
  if (failed) {
    cut(x);
    return;
  }
  struct evhttp_request *request = x->request;
  end(x);
  evhttp_send_reply_end(request);
}

static void on_drained(struct evhttp_connection *connection, void *arg)
{
  if (evbuffer_get_length(bufferevent_get_output(evhttp_connection_get_bufferevent(connection))) ==
      0)
    send_more(arg);
}

static void send_pieces(struct pending *x, const struct rules_response *response)
{
  struct evkeyvalq *headers = evhttp_request_get_output_headers(x->request);
  if (response->length >= 0) add_length(x->request, response->length);
  evhttp_add_header(headers, "Connection", "close");
  evhttp_send_reply_start(x->request, response->status, NULL);
  bool sent = send_piece(x, response->body, response->size);
  if (!response->more)
    rules_end(x->server->rules, &x->call); /* after this body there is only the cut */
  if (!sent) send_more(x);
}

static void deliver(struct pending *x, enum rules_result result,
                    const struct rules_response *response)
{
  if (result == RULES_FAILED) {
    fail(x);
  } else if (result == RULES_WAIT) {
    struct timeval time = {.tv_sec = (time_t)response->wait};
    time.tv_usec = (suseconds_t)((response->wait - (double)time.tv_sec) * 1e6);
    event_add(x->timer, &time);
  } else if (response->status == 0) {
    cut(x);
  } else {
    rules_headers(&x->call, add_header, x->request);
    if (response->more || response->length >= 0)
      send_pieces(x, response);
    else
      send_whole(x, response);
  }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
  (void)fd, (void)what;
  struct pending *x = arg;
  struct rules_response response;
  enum rules_result result = rules_resume(x->server->rules, &x->call, &response);
  deliver(x, result, &response);
}

static const char *method_name(struct evhttp_request *request)
{
  static const struct {
    enum evhttp_cmd_type type;
    const char *name;
  } methods[] = {{EVHTTP_REQ_GET, "GET"},   {EVHTTP_REQ_POST, "POST"},
                 {EVHTTP_REQ_HEAD, "HEAD"}, {EVHTTP_REQ_DELETE, "DELETE"},
                 {EVHTTP_REQ_PUT, "PUT"},   {EVHTTP_REQ_PATCH, "PATCH"}};
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
    if (methods[i].type == evhttp_request_get_command(request)) return methods[i].name;
  return "OTHER";
}

static void read_headers(struct evhttp_request *request,
                         struct rules_header headers[MAX_HEADERS + 1])
{
  struct evkeyvalq *list = evhttp_request_get_input_headers(request);
  int count = 0;
  for (struct evkeyval *entry = list->tqh_first; entry && count < MAX_HEADERS;
       entry = entry->next.tqe_next)
    headers[count++] = (struct rules_header){entry->key, entry->value};
  headers[count] = (struct rules_header){NULL, NULL};
}

static void begin(struct pending *x)
{
  struct rules_header headers[MAX_HEADERS + 1];
  struct evbuffer *body = evhttp_request_get_input_buffer(x->request);
  char *peer = NULL;
  ev_uint16_t port;
  evhttp_connection_get_peer(x->connection, &peer, &port);
  read_headers(x->request, headers);
  struct rules_request request = {.method = method_name(x->request),
                                  .target = evhttp_request_get_uri(x->request),
                                  .peer = peer ? peer : "",
                                  .headers = headers,
                                  .size = evbuffer_get_length(body)};
  request.body = request.size > 0 ? (const char *)evbuffer_pullup(body, -1) : "";
  struct rules_response response = {0};
  enum rules_result result =
      request.body ? rules_begin(x->server->rules, &request, &x->call, &response) : RULES_FAILED;
  deliver(x, result, &response);
}

static bool is_same_length(const char *length, const char *other)
{
  return length[strspn(length, "0123456789")] == '\0' && strcmp(length, other) == 0;
}

/* evhttp takes the first of several lengths, signs, and ignores codings that it does not know: the
 * rest of the body would be read as the next request. */
static bool is_framed(struct evhttp_request *request)
{
  const struct evkeyvalq *list = evhttp_request_get_input_headers(request);
  const char *length = evhttp_find_header(list, "Content-Length");
  for (const struct evkeyval *entry = list->tqh_first; entry; entry = entry->next.tqe_next) {
    if (evutil_ascii_strcasecmp(entry->key, "Content-Length") == 0 &&
        !is_same_length(entry->value, length))
      return false;
    if (evutil_ascii_strcasecmp(entry->key, "Transfer-Encoding") == 0 &&
        (length || evutil_ascii_strcasecmp(entry->value, "chunked") != 0))
      return false;
  }
  return true;
}

static void on_request(struct evhttp_request *request, void *arg)
{
  struct server *server = arg;
  if (!is_framed(request)) {
    evhttp_send_error(request, HTTP_BADREQUEST, NULL);
    return;
  }
  struct pending *x = calloc(1, sizeof *x);
  if (x) {
    x->timer = evtimer_new(server->base, on_timer, x);
    x->piece = evbuffer_new();
  }
  if (!x || !x->timer || !x->piece) {
    if (x && x->timer) event_free(x->timer);
    free(x);
    evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
    return;
  }
  x->server = server;
  x->request = request;
  x->connection = evhttp_request_get_connection(request);
  evhttp_connection_set_closecb(x->connection, on_close, x);
  begin(x);
}

/* Data that a client sends during a response waits in its socket, not in this process. */
static struct bufferevent *new_connection(struct event_base *base, void *arg)
{
  (void)arg;
  struct bufferevent *connection = bufferevent_socket_new(base, -1, 0);
  if (connection) bufferevent_setwatermark(connection, EV_READ, 0, MAX_READ);
  return connection;
}

struct server *server_open(struct event_base *base, struct evconnlistener *listener,
                           struct rules *rules, struct error *err)
{
  struct server *server = calloc(1, sizeof *server);
  if (server) server->http = evhttp_new(base);
  if (!server || !server->http || !evhttp_bind_listener(server->http, listener)) {
    if (server && server->http) evhttp_free(server->http);
    free(server);
    evconnlistener_free(listener);
    error_set(err, ERROR_INTERNAL, "the sandbox cannot start: out of memory");
    return NULL;
  }
  server->base = base;
  server->rules = rules;
  evhttp_set_max_headers_size(server->http, MAX_HEAD);
  evhttp_set_max_body_size(server->http, MAX_BODY);
  evhttp_set_timeout(server->http, IDLE_SECONDS);
  evhttp_set_bevcb(server->http, new_connection, NULL);
  evhttp_set_gencb(server->http, on_request, server);
  return server;
}

void server_close(struct server *server)
{
  if (!server) return;
  evhttp_free(server->http);
  free(server);
}
