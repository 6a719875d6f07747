/* Shared by net/http*.c: the pool of requests (http.c), options and callbacks of libcurl
 * (http_curl.c), parsed URLs (http_target.c). */
#ifndef PROXYLUA_NET_HTTP_PRIVATE_H
#define PROXYLUA_NET_HTTP_PRIVATE_H

#include "net/http.h"

/* A parsed URL. libcurl reads it when a transfer starts, after it was passed, so each request holds
 * a reference. */
struct http_target {
  CURLU *url;
  char *text;
  bool loopback;
  int holders;
};

struct http {
  struct loop *loop;
  CURLM *multi;
  CURLSH *sessions; /* of TLS: each handle resumes those of the others */
  struct http_transfer *active, *idle;
  size_t idle_count;
  bool keeps_handles;         /* idle requests keep their easy handle */
  struct http_target *target; /* of the last request: most requests repeat the URL */
  char *ca;
  struct http_transfer *first_queued, *last_queued; /* linked and held like active ones */
  struct loop_starter starter;
  int put_off; /* turns in a row */
};

/* Parses a URL for one holder. NULL with an error when it is none. */
struct http_target *target_parse(const char *text, struct error *err);

/* One holder less; NULL is fine. */
void target_drop(struct http_target *target);

/* Sets what never changes for a handle, and what this request wants. The latter reports the first
 * failure of an option that decides where the request goes or what it is. */
void options_set_once(struct http_transfer *transfer);
CURLcode options_set(struct http_transfer *transfer);

/* The value of a header of the last response, without one "". */
const char *header_of(const struct http_transfer *transfer, const char *name);

/* The decoder of a body, from its Content-Encoding: none for a plain one. False with x->failure for
 * an encoding that was not asked for. */
bool decoder_open(struct http_transfer *transfer);
void decoder_close(struct http_decoder *decoder);

/* Decodes bytes and delivers what they hold. False where delivering fails, or with x->failure for
 * a damaged body. */
bool decoder_take(struct http_transfer *transfer, const char *bytes, size_t size,
                  bool (*deliver)(struct http_transfer *transfer, const char *bytes, size_t size));

/* False while the body's compressed stream has not ended. */
bool decoder_is_whole(const struct http_transfer *transfer);

/* Writes received bytes to the request's file, through its scrub; `last` writes those held back. */
bool http_write_file(struct http_transfer *transfer, const char *bytes, size_t size, bool last);

#endif
