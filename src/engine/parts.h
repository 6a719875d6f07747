/* The parts of an engine, opened in their order: the store, the limiter, the client, the charges.
 */
#ifndef PROXYLUA_ENGINE_PARTS_H
#define PROXYLUA_ENGINE_PARTS_H

#include <stdbool.h>

#include "api/client.h"
#include "charge/charge.h"
#include "limits/limiter.h"

/* The defaults of settings. lua/proxylua/settings.lua shows the same to the user. */
#define PARTS_BASE_URL "https://api.1001proxy.io/api/v1"
#define PARTS_LIMITS "general=60/60,orders=10/60"
#define PARTS_TIMEOUT 30   /* seconds */
#define PARTS_MAX_WAIT 120 /* seconds */
#define PARTS_SETTLE 60    /* seconds */

struct secret;
struct store;
struct trace;

/* Zeroed: nothing is open. */
struct parts {
  struct store *store;
  struct limiter *limiter;
  struct trace *trace;
  struct client *client;
  struct purchase *purchase;
};

/* What the pointers name must outlive the parts. */
struct parts_settings {
  struct loop *loop;
  const char *base_url; /* as url_check_base spells it */
  const char *store;    /* where it is; NULL: the usual place */
  const char *trace;    /* a file, or NULL */
  const char *ca_file;  /* CA certificates; NULL: the usual ones */
  const struct secret *key;
  const struct limiter_rules *rules;
  double max_wait; /* seconds that the server may make one call pause */
  bool sandbox;    /* the API is emulated; it is also recognised by its keys and its place */
  bool verbose;
  void (*warn)(void *arg, const char *text); /* prints a warning; never NULL */
  void *warn_arg;
  struct purchase_settings charge; /* `loop`, `client`, `store` and `key_hash` are filled in */
};

/* Opens the store alone, unless it is open. False with an error. */
bool parts_open_store(struct parts *parts, struct loop *loop, const char *location,
                      struct error *err);

/* Opens all of them; closes them again when one cannot be opened. */
bool parts_open(struct parts *parts, const struct parts_settings *settings, struct error *err);

/* Closes what is open. Charges that are under way are left to the next run, as they stand in the
 * journal. */
void parts_close(struct parts *parts);

#endif
