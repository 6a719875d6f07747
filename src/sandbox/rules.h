/* The rules: the lua_State that makes the sandbox's responses. Its errors never reach C. */
#ifndef PROXYLUA_SANDBOX_RULES_H
#define PROXYLUA_SANDBOX_RULES_H

#include <lua.h>
#include <stdbool.h>

#include "base/error.h"

#define RULES_PORTS 4 /* listening ports of the forward proxies */

struct rules;

/* Opens the state and starts the rules with settings and `prepare` as in struct sandbox_options.
 * NULL with the reason. */
struct rules *rules_open(const char *const *settings, lua_CFunction prepare,
                         const int ports[RULES_PORTS], struct error *err);
void rules_close(struct rules *rules);

/* The first API key. */
const char *rules_key(const struct rules *rules);

struct rules_header {
  const char *name, *value;
};

struct rules_request {
  const char *method, *target, *peer;
  const struct rules_header *headers; /* ends with a row whose name is NULL */
  const char *body;
  size_t size;
};

/* A request that is being processed: a coroutine. */
struct rules_call {
  lua_State *L; /* its thread; NULL when there is none */
  int anchor;   /* keeps it alive */
};

enum rules_result { RULES_WAIT, RULES_ANSWER, RULES_FAILED };

/* Texts belong to the call and live until rules_end. */
struct rules_response {
  double wait; /* RULES_WAIT: seconds until rules_resume */
  int status;  /* 0: close the connection without a response */
  const char *body;
  size_t size;
  long long length; /* what Content-Length says, -1: the body's size */
  bool more;        /* rules_more has further pieces of the body */
};

/* Begins to process a request, or continues after a wait. RULES_FAILED was logged. */
enum rules_result rules_begin(struct rules *rules, const struct rules_request *request,
                              struct rules_call *call, struct rules_response *response);
enum rules_result rules_resume(struct rules *rules, struct rules_call *call,
                               struct rules_response *response);

/* Calls `each` with every header of the response. */
void rules_headers(const struct rules_call *call,
                   void (*each)(void *arg, const char *name, const char *value), void *arg);

/* The next piece of the body, valid until the next call, or NULL at its end or when the rules
 * failed (`*failed`). */
const char *rules_more(struct rules *rules, struct rules_call *call, size_t *size, bool *failed);

/* Releases the call. Does nothing for one that has ended. */
void rules_end(struct rules *rules, struct rules_call *call);

struct rules_exit {
  char address[16]; /* dotted, where the connection leaves from */
  int status;       /* a fault: respond with this status; 0: none */
  double delay;     /* seconds to wait first */
  bool cut;         /* a fault: close without a response */
};

/* Whether a user may use the proxy now, and how. */
bool rules_authorize(struct rules *rules, const char *user, const char *password,
                     const char *target, struct rules_exit *way);

#endif
