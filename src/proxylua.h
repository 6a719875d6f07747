/* The engine of proxylua for programs in C: the 1001Proxy API with its rate limits, and purchases
 * that are never paid twice. No Lua, and no state outside of what proxylua_open returns.
 *
 * An engine belongs to the thread that opened it. Its callbacks run inside proxylua_turn and
 * proxylua_wait alone, never before the function that asked for them has returned. The library
 * leaves signals, locale, environment, standard streams and the dumpable flag as they are; ignore
 * SIGPIPE in your program, and initialise libcurl first if you use it from other threads.
 *
 * Texts are UTF-8 and end with a NUL. Amounts of money are decimal texts such as "9.30". */
#ifndef PROXYLUA_H
#define PROXYLUA_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROXYLUA_API __attribute__((visibility("default")))

struct proxylua;
struct proxylua_call;

/* What went wrong. The kinds and codes are those of docs/scripting.md. */
struct proxylua_error {
  const char *kind;     /* "funds", "rate_limited", …; "" when nothing did. Static. */
  const char *charge;   /* whether money moved: "none", "made" or "unknown". Static. */
  const char *endpoint; /* "orders.create", or NULL. Static. */
  int status;           /* of HTTP; 0: there was no response */
  double retry_after;   /* seconds; negative: not known */
  char code[64];        /* the API's own code, or "" */
  char message[1024];   /* for a person */
};

/* Zeroed and NULL members mean the default. The engine copies all of it. */
struct proxylua_settings {
  const char *base_url;      /* "https://api.1001proxy.io/api/v1" */
  const char *api_key;       /* required */
  const char *store;         /* a file, or a URL of PostgreSQL; the file of the program proxylua */
  const char *limits;        /* "general=60/60,orders=10/60", "off"; requests per seconds */
  const char *spend_per_run; /* what all charges of this engine may cost; without any of these */
  const char *spend_per_day; /* three, nothing is bought: there is no person to ask */
  const char *spend_per_order;
  int spend_ignore_elsewhere; /* per_day does not count charges of today that the journal lacks */
  const char *ca_file;        /* CA certificates in PEM */
  const char *trace;          /* a file for a line per request, without the key */
  double timeout;             /* seconds of one request: 30 */
  double max_wait;            /* seconds that the server may make one call pause: 120 */
  double settle;              /* seconds after which an unseen charge was not made: 60 */
  int dry_run;                /* price charges, but buy nothing */
  void (*log)(void *arg, const char *line); /* warnings, such as a pause of the API */
  void *log_arg;
};

/* The outcome of a call, valid until proxylua_release. */
struct proxylua_result {
  const struct proxylua_error *error; /* NULL: success */
  const char *json;     /* the record as px returns it: canonical names, exact money. A list is
                           {"items": [...], "page", "limit", "total", "has_more"}, as far as they
                           are known. A text file is itself. "" after an error. */
  size_t size;          /* bytes of it */
  const char *order_id; /* of a charge, "" if not known */
  const char *key;      /* of a charge: the key that makes it repeatable, "" otherwise */
  const char *quote;    /* of a charge: its price, "" if not known */
  int repeated;         /* the key was used before: this is the earlier charge */
  int dry_run;          /* nothing was bought */
};

/* Opens an engine. Returns NULL with an error of kind config, store or internal. End it with
 * proxylua_close. */
PROXYLUA_API struct proxylua *proxylua_open(const struct proxylua_settings *settings,
                                            struct proxylua_error *error);

/* Ends all calls without their `done`, and closes the engine. A charge that was sent stays in the
 * journal, and the next engine with the same store finds its outcome: wait until proxylua_busy is 0
 * for a charge that is to be known. NULL is fine. */
PROXYLUA_API void proxylua_close(struct proxylua *px);

/* Calls an endpoint ("orders.list"). `parameters` is a JSON object of the API's parameters and of
 * key, max_price, timeout and max_wait, as px takes them; NULL: none. A charge (orders.create,
 * orders.extend) is priced, checked against the allowance, written to the journal, sent once, and
 * looked up when its response is lost. `done` is called once with the result, unless the call is
 * cancelled; it may be NULL. Returns NULL with an error of kind usage for wrong parameters.
 *
 * End the call with proxylua_release, in `done` or later. */
PROXYLUA_API struct proxylua_call *proxylua_call(struct proxylua *px, const char *endpoint,
                                                 const char *parameters,
                                                 void (*done)(void *arg, struct proxylua_call *call,
                                                              const struct proxylua_result *result),
                                                 void *arg, struct proxylua_error *error);

/* Turns the engine until the call is done, and returns its result. */
PROXYLUA_API const struct proxylua_result *proxylua_wait(struct proxylua_call *call);

/* Ends a call that is not done, and releases it. Returns 1 if it was a charge that may have been
 * sent: it is settled in the background, and its outcome is in the journal. */
PROXYLUA_API int proxylua_cancel(struct proxylua_call *call);

/* Releases a call that is done. */
PROXYLUA_API void proxylua_release(struct proxylua_call *call);

/* The state of the rate limits: {"general": {"requests", "seconds", "free", "next", "paused",
 * "paced", "waiting"}, "orders": {…}, "off"}. Seconds are numbers. To be waited for and released as
 * a call. */
PROXYLUA_API struct proxylua_call *proxylua_limits(
    struct proxylua *px,
    void (*done)(void *arg, struct proxylua_call *call, const struct proxylua_result *result),
    void *arg, struct proxylua_error *error);

/* The newest charges in the journal, at most `limit` (1 to 1000): a list of {"key", "state",
 * "endpoint", "params", "order_id", "quote", "price", "note"}. */
PROXYLUA_API struct proxylua_call *proxylua_journal(
    struct proxylua *px, int limit,
    void (*done)(void *arg, struct proxylua_call *call, const struct proxylua_result *result),
    void *arg, struct proxylua_error *error);

/* 1 while the outcome of a charge is not in the journal yet, else 0. */
PROXYLUA_API int proxylua_busy(const struct proxylua *px);

/* For an event loop of your own: call proxylua_turn(px, 0) when this descriptor (of epoll) is
 * readable, and when proxylua_timeout is over, which every function above may change. */
PROXYLUA_API int proxylua_descriptor(const struct proxylua *px);

/* Milliseconds until proxylua_turn has something to do without input; negative: never. */
PROXYLUA_API int proxylua_timeout(const struct proxylua *px);

/* Waits for events, at most `milliseconds` (negative: until there is one), and handles them. Not to
 * be called from `done` or `log`. */
PROXYLUA_API void proxylua_turn(struct proxylua *px, int milliseconds);

/* "0.1.0". */
PROXYLUA_API const char *proxylua_version(void);

#ifdef __cplusplus
}
#endif

#endif
