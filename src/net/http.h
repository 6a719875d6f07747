/* HTTP requests and their responses, bounded in size and time. Easy handles are reused; a download
 * is written to its file as it arrives. This module is independent of the API: it sends no key
 * unless a request has one, does not retry, and applies no rate limit. */
#ifndef PROXYLUA_NET_HTTP_H
#define PROXYLUA_NET_HTTP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/json.h"
#include "net/loop.h"

#define HTTP_MAX_BODY (64 << 20) /* default limit for a response in memory, in bytes */

#define HTTP_START 4096 /* bytes by which a body is judged */

struct http;

/* All strings and the list are borrowed until the request is done. Zero means the default. */
struct http_request {
  const char *method; /* "GET" */
  const char *url;
  const struct curl_slist *headers;
  const void *body;
  size_t body_size;
  const char *bearer;  /* sent as Authorization: Bearer */
  const char *proxy;   /* URL of a forward proxy; "": none; NULL: from the environment */
  int64_t timeout_ms;  /* for the whole request; for a download to `path`: without any data */
  int64_t deadline_ms; /* for the whole request, downloads too */
  int redirects;       /* how many to follow */
  size_t max_body;     /* bytes, after decompression; a download is not bounded */
  const char *path;    /* the body of a 2xx response goes to this file, whole or not at all */
  size_t (*scrub)(const void *arg, char *bytes, size_t size); /* changes what goes to `path`, and
                                     returns its new size; NULL: nothing is changed */
  const void *scrub_arg;
  size_t scrub_hold; /* bytes that are held back, since what is changed may begin in them */
  bool fresh;        /* a connection of its own */
  bool public_only;  /* connect to public internet addresses only, also if the name has others, and
                        without a proxy; on a connection of its own */
  bool or_loopback;  /* beside these, to this machine */
  bool once; /* refuse libcurl's own second sending on a new connection when a kept one has died */
  bool keep_head; /* collect the head of the response */
  bool (*may_send)(
      void *arg); /* called before the first byte is sent; false ends the request unsent */
  void (*headed)(void *arg); /* called when the head of the final response has arrived */
  const char *(*refuse)(
      long status,
      const char *type); /* why a 2xx response of this content type ("" without one) is
                            not taken, or NULL; then an empty one is not taken either */
  const char *(*refuse_body)(const char *start, size_t size); /* why a 2xx response that begins so
                                                                 is not taken, or NULL */
};

struct http_transfer {
  struct http_request request;
  CURLcode code;  /* CURLE_OK for a complete response */
  bool sent;      /* at least one byte may have left */
  bool too_large; /* the response exceeded max_body */
  bool kept_in;   /* an address was refused for public_only */
  bool has_head;  /* the head of a response was read */
  long status;
  struct buffer head; /* raw header lines of the last response, with keep_head */
  struct buffer body;
  struct json_document json; /* of the body, where it was parsed; freed with the request */
  struct error failure;      /* of writing the file; kind ERROR_NONE when none */
  char text[CURL_ERROR_SIZE];

  void (*done)(void *arg, struct http_transfer *transfer);
  void *arg;
  struct http *owner;
  struct http_target *target;
  struct http_decoder *decoder;   /* of a compressed body, or NULL */
  bool ends_with_tls, tls_closed; /* the body ends where TLS is closed; that was seen */
  char start[HTTP_START];         /* the first bytes of a body that is judged */
  size_t start_size;
  bool negotiates;                       /* sent again with Digest or NTLM, as the proxy asked */
  char asked_for[24];                    /* the schemes of a 407 response, "" without one */
  struct http_transfer *next, *previous; /* under way, or in the pool */
  struct http_transfer *next_queued;     /* to be started through a proxy when there is room */
  bool queued;
  CURL *easy;
  struct file file;
  double date;          /* of http_date; negative: not read yet */
  size_t trailer_bytes; /* of header lines after the head */
  int sends;
};

/* A pool of easy handles on this loop. Handles that carry a key share a pool with nothing else.
 * NULL when memory is out. */
struct http *http_open(struct loop *loop);

/* Names the file of CA certificates for targets and https proxies, before the first request. False
 * when memory is out. */
bool http_set_ca(struct http *http, const char *path);

/* Ends everything under way without calling `done`. */
void http_close(struct http *http);

/* Starts a request; `done` is called once, from a later loop_turn. NULL with an error when it
 * cannot start. The caller ends it with http_release, in `done` or later. */
struct http_transfer *http_send(struct http *http, const struct http_request *request,
                                void (*done)(void *arg, struct http_transfer *transfer), void *arg,
                                struct error *err);

/* Stops a request that is not done; `done` is not called. The connection is closed. */
void http_cancel(struct http_transfer *transfer);

/* Returns the request to the pool. Its fields must not be used afterwards. */
void http_release(struct http_transfer *transfer);

/* Sets the error of a request without a complete response (kinds network, timeout,
 * protocol, store). */
void http_explain(const struct http_transfer *transfer, struct error *err);

/* A word for the failure of a request without a response: "refused" (no connection), "resolve" (a
 * name), "resolve_proxy", "tls", "proxy_auth" (the proxy wants other credentials), "proxy_rules"
 * (its rules do not allow the request), "proxy" (it cannot or will not go on), "timeout", "closed"
 * (the connection ended too early); "" for anything else. */
const char *http_fault(const struct http_transfer *transfer);

/* Microseconds of a finished request (a CURLINFO_…_TIME_T). */
int64_t http_time(const struct http_transfer *transfer, CURLINFO which);

#define HTTP_MAX_RETRY_AFTER 86400.0 /* seconds */

/* Seconds that Retry-After asks for: a number, decimals rounded up, or an HTTP date, which counts
 * from the response's own Date where there is one. Negative when it is absent, not readable, below
 * 1 or above HTTP_MAX_RETRY_AFTER. */
double http_retry_after(struct http_transfer *transfer);

/* The Date of the response, in seconds since 1970; 0 without one. */
double http_date(struct http_transfer *transfer);

/* Whether a URL's host is loopback: 127.0.0.0/8, ::1 or localhost. */
bool http_is_loopback(const char *url);

#endif
