#include "engine/parts.h"

#include <string.h>

#include "api/secret.h"
#include "net/trace.h"
#include "store/store.h"

bool parts_open_store(struct parts *parts, struct loop *loop, const char *location,
                      struct error *err)
{
  if (!parts->store) parts->store = store_open(loop, location, err);
  return parts->store;
}

static size_t scrub_key(const void *key, char *bytes, size_t size)
{
  return secret_scrub_bytes(key, bytes, size);
}

/* A sandbox may be a program of its own; its keys and its place say what it is. */
static bool is_sandbox(const struct parts_settings *settings)
{
  static const char prefix[] = "sk_sandbox_";
  return settings->sandbox ||
         (strncmp(secret_text(settings->key), prefix, sizeof prefix - 1) == 0 &&
          http_is_loopback(settings->base_url));
}

static bool open_client(struct parts *parts, const struct parts_settings *settings,
                        struct error *err)
{
  struct client_settings client = {.base_url = settings->base_url,
                                   .key = settings->key,
                                   .limiter = parts->limiter,
                                   .trace = parts->trace,
                                   .ca_file = settings->ca_file,
                                   .timeout = settings->charge.timeout,
                                   .max_wait = settings->max_wait,
                                   .only_clock = is_sandbox(settings),
                                   .report = settings->verbose ? settings->warn : NULL,
                                   .warn = settings->warn,
                                   .report_arg = settings->warn_arg};
  parts->client = client_open(settings->loop, &client, err);
  return parts->client;
}

static bool open_purchase(struct parts *parts, const struct parts_settings *settings,
                          struct error *err)
{
  struct purchase_settings charge = settings->charge;
  charge.loop = settings->loop;
  charge.client = parts->client;
  charge.store = parts->store;
  charge.key_hash = limiter_key(parts->limiter);
  parts->purchase = purchase_open(&charge);
  if (!parts->purchase) error_set(err, ERROR_INTERNAL, "out of memory");
  return parts->purchase;
}

static bool open_all(struct parts *parts, const struct parts_settings *settings, struct error *err)
{
  if (settings->trace &&
      !(parts->trace = trace_open(settings->trace, scrub_key, settings->key, err)))
    return false;
  if (!parts_open_store(parts, settings->loop, settings->store, err)) return false;
  parts->limiter = limiter_open(settings->loop, parts->store, settings->base_url,
                                secret_text(settings->key), settings->rules, err);
  if (!parts->limiter) return false;
  limiter_max_pause(parts->limiter, settings->max_wait);
  return open_client(parts, settings, err) && open_purchase(parts, settings, err);
}

bool parts_open(struct parts *parts, const struct parts_settings *settings, struct error *err)
{
  if (open_all(parts, settings, err)) return true;
  parts_close(parts);
  return false;
}

void parts_close(struct parts *parts)
{
  purchase_close(parts->purchase);
  client_close(parts->client);
  limiter_close(parts->limiter);
  store_close(parts->store);
  trace_close(parts->trace);
  *parts = (struct parts){0};
}
