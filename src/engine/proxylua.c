/* The functions of proxylua.h. */
#include "proxylua.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/secret.h"
#include "base/version.h"
#include "engine/arguments.h"
#include "engine/parts.h"
#include "engine/result.h"
#include "net/url.h"

struct proxylua {
  struct loop *loop;
  struct parts parts;
  struct secret *key;
  char *base_url;
  struct limiter_rules rules;
  void (*log)(void *arg, const char *line);
  void *log_arg;
  struct proxylua_call *calls; /* those not released */
};

struct proxylua_call {
  struct proxylua *px;
  struct proxylua_call *next, *previous;
  void (*done)(void *arg, struct proxylua_call *call, const struct proxylua_result *result);
  void *arg;
  struct arguments arguments;
  struct client_call *call;
  struct purchase_charge *charge;
  struct journal_account account;
  struct journal_list list;
  struct limiter_status status;
  bool starting;          /* the function that starts it has not returned */
  bool stuck;             /* it ended meanwhile, and memory is out */
  bool working;           /* a job of the store is under way: the call must stay until it ends */
  bool dropped;           /* it was cancelled meanwhile */
  bool ended;             /* the result is there */
  struct loop_timer soon; /* finishes a call that ended while it was started */
  struct buffer json;
  char quote[MONEY_TEXT], *key, order_id[PURCHASE_MAX_ID + 1];
  struct proxylua_error error;
  struct proxylua_result result;
};

static void copy_error(struct proxylua_error *to, const struct error *from)
{
  if (!to) return;
  *to = (struct proxylua_error){.kind = error_kind_name(from->kind),
                                .charge = error_charge_name(from->charge),
                                .endpoint = from->endpoint,
                                .status = from->status,
                                .retry_after = from->retry_after};
  memcpy(to->code, from->code, sizeof to->code);
  memcpy(to->message, from->message, sizeof to->message);
}

static void print(void *arg, const char *text)
{
  const struct proxylua *px = arg;
  if (px->log) px->log(px->log_arg, text);
}

static bool read_amount(const char *text, const char *name, money *amount, struct error *err)
{
  *amount = -1;
  if (!text) return true;
  enum money_result result = money_parse(text, strlen(text), amount);
  if (result == MONEY_OK && *amount >= 0) return true;
  error_set(err, ERROR_CONFIG, "%s %s", name,
            result == MONEY_OK ? "cannot be negative" : money_explain(result));
  return false;
}

static bool read_seconds(double given, double usual, const char *name, double *seconds,
                         struct error *err)
{
  *seconds = given == 0 ? usual : given;
  if (*seconds >= 0.001 && *seconds <= 1e6) return true;
  error_set(err, ERROR_CONFIG, "%s must be a number of seconds from 0.001 to 1000000, got %g", name,
            given);
  return false;
}

static bool open_engine(struct proxylua *px, const struct proxylua_settings *given,
                        struct error *err)
{
  struct parts_settings settings = {.loop = px->loop,
                                    .store = given->store,
                                    .trace = given->trace,
                                    .ca_file = given->ca_file,
                                    .rules = &px->rules,
                                    .warn = print,
                                    .warn_arg = px,
                                    .charge = {.ignore_elsewhere = given->spend_ignore_elsewhere,
                                               .dry_run = given->dry_run,
                                               .tell = print,
                                               .tell_arg = px}};
  struct journal_allowance *allowance = &settings.charge.allowance;
  if (!read_amount(given->spend_per_run, "spend_per_run", &allowance->per_run, err) ||
      !read_amount(given->spend_per_day, "spend_per_day", &allowance->per_day, err) ||
      !read_amount(given->spend_per_order, "spend_per_order", &allowance->per_order, err) ||
      !read_seconds(given->timeout, PARTS_TIMEOUT, "timeout", &settings.charge.timeout, err) ||
      !read_seconds(given->max_wait, PARTS_MAX_WAIT, "max_wait", &settings.max_wait, err) ||
      !read_seconds(given->settle, PARTS_SETTLE, "settle", &settings.charge.settle, err) ||
      !limiter_rules_parse(given->limits ? given->limits : PARTS_LIMITS, &px->rules, err))
    return false;
  px->base_url = url_check_base(given->base_url ? given->base_url : PARTS_BASE_URL, err);
  if (!px->base_url) return false;
  if (!given->api_key) error_set(err, ERROR_CONFIG, "there is no api_key");
  px->key = given->api_key ? secret_from_text(given->api_key, err) : NULL;
  settings.base_url = px->base_url;
  settings.key = px->key;
  return px->key && parts_open(&px->parts, &settings, err);
}

struct proxylua *proxylua_open(const struct proxylua_settings *settings,
                               struct proxylua_error *error)
{
  struct error err = ERROR_INIT;
  struct proxylua *px = calloc(1, sizeof *px);
  error_set(&err, ERROR_INTERNAL, "out of memory or descriptors");
  if (px) px->loop = loop_open();
  if (px && px->loop) {
    px->log = settings->log;
    px->log_arg = settings->log_arg;
    if (open_engine(px, settings, &err)) return px;
  }
  copy_error(error, &err);
  proxylua_close(px);
  return NULL;
}

static void unlink_call(struct proxylua_call *call)
{
  if (call->previous)
    call->previous->next = call->next;
  else
    call->px->calls = call->next;
  if (call->next) call->next->previous = call->previous;
}

static void free_call(struct proxylua_call *call)
{
  loop_timer_clear(call->px->loop, &call->soon);
  unlink_call(call);
  arguments_free(&call->arguments);
  journal_list_free(&call->list);
  free(call->account.account);
  buffer_free(&call->json);
  free(call->key);
  free(call);
}

/* What libcurl, the charges and the store still have under way ends without a `done`; the jobs of
 * the store end in store_close. */
void proxylua_close(struct proxylua *px)
{
  if (!px) return;
  for (struct proxylua_call *call = px->calls; call; call = call->next) call->dropped = true;
  parts_close(&px->parts);
  while (px->calls) free_call(px->calls);
  loop_close(px->loop);
  secret_close(px->key);
  free(px->base_url);
  free(px);
}

static void deliver(void *arg)
{
  struct proxylua_call *call = arg;
  call->ended = true;
  if (call->done) call->done(call->arg, call, &call->result);
}

/* The result is there. `err` of kind ERROR_NONE: success. */
static void end_call(struct proxylua_call *call, const struct error *err)
{
  copy_error(&call->error, err);
  call->result.error = err->kind == ERROR_NONE ? NULL : &call->error;
  if (call->result.error) call->json.size = 0;
  call->result.json = call->json.size > 0 ? call->json.data : "";
  call->result.size = call->json.size;
  call->result.order_id = call->order_id;
  call->result.key = call->key ? call->key : "";
  call->result.quote = call->quote;
}

/* Completes an error by the server's words in the response. */
static void explain(const struct json_document *response, const struct buffer *body,
                    struct error *err)
{
  if (body->size > 0 && err->status >= 400 && err->kind != ERROR_OUTCOME_UNKNOWN)
    response_error(response, body->data, body->size, err);
}

static void write_result(struct proxylua_call *call, const struct json_document *response,
                         const struct endpoint *endpoint, struct error *err)
{
  const struct arguments *arguments = &call->arguments;
  result_write(response, endpoint, arguments->page, arguments->limit, &call->json, err);
}

static void finish_call(struct proxylua_call *call)
{
  struct client_call *finished = call->call;
  const struct endpoint *endpoint = finished->request.endpoint;
  struct http_transfer *x = finished->exchange;
  struct error err = finished->error;
  if (err.kind != ERROR_NONE && x)
    explain(&x->json, &x->body, &err);
  else if (err.kind == ERROR_NONE && !endpoint->text)
    write_result(call, &x->json, endpoint, &err);
  else if (err.kind == ERROR_NONE && x->body.size > 0 &&
           !buffer_add(&call->json, x->body.data, x->body.size))
    error_set(&err, ERROR_INTERNAL, "out of memory");
  call->call = NULL;
  client_release(finished);
  end_call(call, &err);
  deliver(call);
}

static void finish_charge(struct proxylua_call *call)
{
  struct purchase_charge *charge = call->charge;
  const struct endpoint *endpoint = call->arguments.request.endpoint;
  struct error err = charge->error;
  snprintf(call->order_id, sizeof call->order_id, "%s", charge->order_id);
  if (charge->has_quote) money_format(charge->quote, call->quote);
  free(call->key);
  call->key = strdup(charge->key);
  call->result.repeated = charge->repeated;
  call->result.dry_run = charge->dry_run;
  if (err.kind != ERROR_NONE)
    explain(&charge->response, &charge->answer, &err);
  else if (charge->dry_run)
    buffer_add_text(&call->json, "{\"dry_run\":true}");
  else
    write_result(call, &charge->response, endpoint, &err);
  call->charge = NULL;
  purchase_release(charge);
  end_call(call, &err);
  deliver(call);
}

static void finish(void *arg)
{
  struct proxylua_call *call = arg;
  if (call->charge)
    finish_charge(call);
  else if (call->call)
    finish_call(call);
  else
    deliver(call);
}

/* Finishes the call, in the next turn if the function that starts it has not returned. */
static void finish_later(struct proxylua_call *call)
{
  if (!call->starting)
    finish(call);
  else if (!loop_timer_set(call->px->loop, &call->soon, 0, finish, call))
    call->stuck = true;
}

static void on_call(void *arg, struct client_call *finished)
{
  struct proxylua_call *call = arg;
  call->call = finished;
  finish_later(call);
}

static void on_charge(void *arg, struct purchase_charge *charge)
{
  struct proxylua_call *call = arg;
  call->charge = charge;
  finish_later(call);
}

static struct proxylua_call *new_call(struct proxylua *px,
                                      void (*done)(void *arg, struct proxylua_call *call,
                                                   const struct proxylua_result *result),
                                      void *arg, struct error *err)
{
  struct proxylua_call *call = calloc(1, sizeof *call);
  if (!call) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return NULL;
  }
  *call = (struct proxylua_call){.px = px, .done = done, .arg = arg, .starting = true};
  call->next = px->calls;
  if (px->calls) px->calls->previous = call;
  px->calls = call;
  return call;
}

/* False when memory is out. */
static bool begin(struct proxylua_call *call)
{
  const struct client_request *request = &call->arguments.request;
  const struct parts *parts = &call->px->parts;
  const struct purchase_request purchase = {.endpoint = request->endpoint,
                                            .method = request->method,
                                            .path = request->path,
                                            .query = request->query,
                                            .body = request->body,
                                            .body_size = request->body_size,
                                            .key = call->arguments.key,
                                            .has_max_price = call->arguments.has_max_price,
                                            .max_price = call->arguments.max_price,
                                            .timeout = request->timeout,
                                            .max_wait = request->max_wait};
  if (request->kind == ENDPOINT_CHARGE)
    call->charge = purchase_begin(parts->purchase, &purchase, on_charge, call);
  else
    call->call = client_send(parts->client, request, on_call, call);
  call->starting = false;
  return (call->charge || call->call) && !call->stuck;
}

struct proxylua_call *proxylua_call(struct proxylua *px, const char *name, const char *parameters,
                                    void (*done)(void *arg, struct proxylua_call *call,
                                                 const struct proxylua_result *result),
                                    void *arg, struct proxylua_error *error)
{
  struct error err = ERROR_INIT;
  const struct endpoint *endpoint = endpoint_find(name);
  const char *near = endpoint ? NULL : endpoint_name_nearest(name);
  if (!endpoint)
    error_set(&err, ERROR_USAGE, "there is no endpoint %s%s%s", name, near ? "; did you mean " : "",
              near ? near : "");
  struct proxylua_call *call = endpoint ? new_call(px, done, arg, &err) : NULL;
  if (call && arguments_read(&call->arguments, endpoint, parameters, &err)) {
    if (begin(call)) return call;
    error_set(&err, ERROR_INTERNAL, "out of memory");
  }
  if (call) free_call(call);
  copy_error(error, &err);
  return NULL;
}

/* After a job of the store. Frees a call that was cancelled; false then. */
static bool is_wanted(struct proxylua_call *call)
{
  bool dropped = call->dropped;
  call->working = false;
  if (dropped) free_call(call);
  return !dropped;
}

static void end_job(struct proxylua_call *call, bool written, const struct error *failed)
{
  struct error err = *failed;
  if (!written) error_set(&err, ERROR_INTERNAL, "out of memory");
  end_call(call, &err);
  finish_later(call);
}

static void on_status(void *arg, const struct limiter_status *status, const struct error *failed)
{
  struct proxylua_call *call = arg;
  if (!is_wanted(call)) return;
  bool written = failed || result_write_limits(status, &call->json);
  end_job(call, written, failed ? failed : &ERROR_INIT);
}

struct proxylua_call *proxylua_limits(struct proxylua *px,
                                      void (*done)(void *arg, struct proxylua_call *call,
                                                   const struct proxylua_result *result),
                                      void *arg, struct proxylua_error *error)
{
  struct error err = ERROR_INIT;
  struct proxylua_call *call = new_call(px, done, arg, &err);
  if (!call) {
    copy_error(error, &err);
    return NULL;
  }
  call->working = true;
  limiter_status(px->parts.limiter, &call->status, on_status, call);
  call->starting = false;
  return call;
}

#define CALL_OF(job, member) \
  ((struct proxylua_call *)((char *)(job)-offsetof(struct proxylua_call, member)))

static void on_list(struct store_job *job)
{
  struct proxylua_call *call = CALL_OF(job, list);
  const struct error err = job->err;
  if (!is_wanted(call)) return;
  end_job(call, err.kind != ERROR_NONE || result_write_journal(&call->list, &call->json), &err);
}

static void on_account(struct store_job *job)
{
  struct proxylua_call *call = CALL_OF(job, account);
  const struct error err = job->err;
  if (!is_wanted(call)) return;
  if (err.kind != ERROR_NONE) {
    end_job(call, true, &err);
    return;
  }
  call->list.account = call->account.account;
  call->list.job.done = on_list;
  call->working = true;
  journal_list(call->px->parts.store, &call->list);
}

struct proxylua_call *proxylua_journal(struct proxylua *px, int limit,
                                       void (*done)(void *arg, struct proxylua_call *call,
                                                    const struct proxylua_result *result),
                                       void *arg, struct proxylua_error *error)
{
  struct error err = ERROR_INIT;
  if (limit < 1 || limit > 1000)
    error_set(&err, ERROR_USAGE, "the limit of the journal is 1 to 1000, got %d", limit);
  struct proxylua_call *call = err.kind == ERROR_NONE ? new_call(px, done, arg, &err) : NULL;
  if (!call) {
    copy_error(error, &err);
    return NULL;
  }
  call->list.states = JOURNAL_ALL;
  call->list.newest = true;
  call->list.limit = limit;
  call->account.job.done = on_account;
  call->account.key = limiter_key(px->parts.limiter);
  call->working = true;
  journal_account(px->parts.store, &call->account);
  call->starting = false;
  return call;
}

const struct proxylua_result *proxylua_wait(struct proxylua_call *call)
{
  while (!call->ended) loop_turn(call->px->loop, -1);
  return &call->result;
}

int proxylua_cancel(struct proxylua_call *call)
{
  bool finished = call->soon.position > 0; /* and its outcome is not delivered */
  bool may_have_paid = call->charge && !finished && purchase_abandon(call->charge);
  if (call->charge && finished) purchase_release(call->charge);
  if (call->call && finished) client_release(call->call);
  if (call->call && !finished) client_cancel(call->call);
  if (call->working)
    call->dropped = true; /* freed when the job ends */
  else
    free_call(call);
  return may_have_paid;
}

void proxylua_release(struct proxylua_call *call)
{
  free_call(call);
}

int proxylua_busy(const struct proxylua *px)
{
  return purchase_busy(px->parts.purchase);
}

int proxylua_descriptor(const struct proxylua *px)
{
  return loop_descriptor(px->loop);
}

int proxylua_timeout(const struct proxylua *px)
{
  int64_t next = loop_next(px->loop);
  return next < 0 ? -1 : next > INT32_MAX ? INT32_MAX : (int)((next + 999) / 1000);
}

void proxylua_turn(struct proxylua *px, int milliseconds)
{
  loop_turn(px->loop, milliseconds < 0 ? -1 : (int64_t)milliseconds * 1000);
}

const char *proxylua_version(void)
{
  return PROXYLUA_VERSION;
}
