/* What the thread of a charge waits for. A wait begins and ends on the loop's thread, so that
 * nothing but the charge's own code runs on the charge's thread: no libcurl, and no function of the
 * caller. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "charge/steps.h"

void charge_drive(struct charge *c)
{
  struct charge_wait *wait = &c->wait;
  if (wait->driving) return; /* it ended while it began */
  wait->driving = true;
  while (wait->done) {
    wait->done = false;
    if (!thread_resume(&c->thread)) {
      charge_finish(c);
      return;
    }
    if (wait->begin) wait->begin(c);
  }
  wait->driving = false;
}

static void end_wait(struct charge *c)
{
  c->wait.done = true;
  charge_drive(c);
}

void charge_interrupt(struct charge *c)
{
  struct charge_wait *wait = &c->wait;
  const struct purchase_settings *settings = &c->owner->settings;
  if (wait->driving) return; /* it notices by itself */
  if (wait->what == WAIT_CALL && wait->call) client_cancel(wait->call);
  if (wait->what == WAIT_TIME) loop_timer_clear(settings->loop, &wait->timer);
  if (wait->what == WAIT_USER) settings->unask(settings->ask_arg);
  wait->call = NULL;
  end_wait(c);
}

/* The charge's side of a wait. False when the program ends. */
static bool await(struct charge *c, int what, void (*begin)(struct charge *c))
{
  if (c->wait.closed) return false;
  c->wait.what = what;
  c->wait.begin = begin;
  thread_pause(&c->thread);
  c->wait.what = WAIT_NOTHING;
  return !c->wait.closed;
}

bool charge_fail(struct charge *c, enum error_kind kind, const char *message)
{
  error_set(&c->public.error, kind, "%s", message);
  /* Without memory to look it up, the outcome of a request that was sent stays unknown. */
  if (kind == ERROR_INTERNAL && c->stage >= STAGE_SENDING) c->public.error.charge = CHARGE_UNKNOWN;
  return false;
}

bool charge_fail_with(struct charge *c)
{
  const struct client_call *call = c->call;
  c->public.error = call->error;
  if (call->exchange && call->exchange->body.size > 0)
    buffer_add(&c->public.answer, call->exchange->body.data, call->exchange->body.size);
  return false;
}

bool charge_is_over(struct charge *c)
{
  if (!c->wait.abandoned || c->stage == STAGE_SENDING || c->stage == STAGE_SETTLING) return false;
  if (c->stage == STAGE_AFTER)
    charge_report(c,
                  "%s with key %s, was cancelled while its outcome was unknown; the next run looks "
                  "it up",
                  charge_name(c), c->public.key);
  charge_fail(c, ERROR_CANCELLED, "the charge was cancelled by its caller");
  return true;
}

void charge_on_job(struct store_job *job)
{
  end_wait(job->arg);
}

/* The job uses memory of the charge's thread until it is done. */
bool charge_finish_job(struct charge *c)
{
  c->wait.what = WAIT_JOB;
  c->wait.begin = NULL;
  thread_pause(&c->thread);
  c->wait.what = WAIT_NOTHING;
  return !c->wait.closed;
}

bool charge_job(struct charge *c, const struct store_job *job)
{
  return charge_finish_job(c) && charge_check_job(c, job);
}

bool charge_check_job(struct charge *c, const struct store_job *job)
{
  if (charge_is_over(c)) return false;
  if (job->err.kind == ERROR_NONE) return true;
  c->public.error = job->err;
  return false;
}

static void on_call(void *arg, struct client_call *call)
{
  struct charge *c = arg;
  c->call = call;
  c->wait.call = NULL;
  c->wait.calling = false;
  end_wait(c);
}

/* Releases the previous call. The new one may be done, or have its slots, before client_send
 * returns. */
static void begin_call(struct charge *c)
{
  struct charge_wait *wait = &c->wait;
  if (c->call) client_release(c->call);
  c->call = NULL;
  wait->calling = true;
  struct client_call *call = client_send(c->owner->settings.client, wait->request, on_call, c);
  if (call && wait->calling) wait->call = call;
  if (call) return;
  charge_fail(c, ERROR_INTERNAL, "out of memory");
  end_wait(c);
}

bool charge_call(struct charge *c, const char *endpoint, const char *path, const char *query,
                 const char *body)
{
  const struct endpoint *row = endpoint_find(endpoint);
  struct client_request request = {.endpoint = row,
                                   .kind = row->kind,
                                   .method = row->method,
                                   .path = path,
                                   .query = query,
                                   .body = body,
                                   .body_size = body ? strlen(body) : 0,
                                   .timeout = c->request.timeout,
                                   .max_wait = c->request.max_wait};
  if (charge_is_over(c)) return false;
  c->wait.request = &request;
  return await(c, WAIT_CALL, begin_call) && !charge_is_over(c) && c->call;
}

bool charge_request(struct charge *c, const char *endpoint, const char *path, const char *body)
{
  if (!charge_call(c, endpoint, path, NULL, body)) return false;
  return c->call->error.kind == ERROR_NONE || charge_fail_with(c);
}

static void on_slots(void *arg, struct client_call *call)
{
  struct charge *c = arg;
  c->wait.call = call;
  c->wait.prepared = true;
  end_wait(c);
}

static bool await_slots(struct charge *c, void (*begin)(struct charge *c))
{
  c->wait.prepared = false;
  return await(c, WAIT_CALL, begin) && c->wait.prepared;
}

bool charge_begin(struct charge *c, const struct client_request *request)
{
  struct client_request copy = *request;
  copy.prepare = on_slots;
  c->wait.request = &copy;
  return await_slots(c, begin_call);
}

static void begin_go(struct charge *c)
{
  client_go(c->wait.call);
}

bool charge_go(struct charge *c)
{
  return await_slots(c, begin_go);
}

static void begin_stop(struct charge *c)
{
  struct error why = c->public.error;
  client_stop(c->wait.call, &why);
}

void charge_stop(struct charge *c)
{
  await_slots(c, begin_stop);
}

static void on_time(void *arg)
{
  end_wait(arg);
}

static void begin_pause(struct charge *c)
{
  struct charge_wait *wait = &c->wait;
  if (loop_timer_set(c->owner->settings.loop, &wait->timer, wait->delay, on_time, c)) return;
  wait->delay = -1;
  end_wait(c);
}

bool charge_pause(struct charge *c, int64_t *pause, int64_t first, int64_t most)
{
  *pause = *pause == 0 ? first : *pause + *pause / 2;
  if (*pause > most) *pause = most;
  if (charge_is_over(c)) return false;
  c->wait.delay = *pause - loop_clock() % (*pause / 4);
  if (!await(c, WAIT_TIME, begin_pause) || charge_is_over(c)) return false;
  return c->wait.delay >= 0 || charge_fail(c, ERROR_INTERNAL, "out of memory");
}

static void on_deadline(void *arg)
{
  struct charge *c = arg;
  if (c->wait.what == WAIT_CALL) charge_interrupt(c);
}

bool charge_set_deadline(struct charge *c, int64_t delay)
{
  return loop_timer_set(c->owner->settings.loop, &c->wait.timer, delay, on_deadline, c);
}

void charge_clear_deadline(struct charge *c)
{
  loop_timer_clear(c->owner->settings.loop, &c->wait.timer);
}

static void begin_question(struct charge *c)
{
  const struct purchase_settings *settings = &c->owner->settings;
  settings->ask(settings->ask_arg, &c->public, c->wait.question);
}

bool charge_confirm(struct charge *c, const struct purchase_question *question)
{
  if (charge_is_over(c)) return false;
  c->wait.question = question;
  return await(c, WAIT_USER, begin_question) && !charge_is_over(c);
}

void purchase_answer(struct purchase_charge *public, bool yes)
{
  struct charge *c = (struct charge *)public;
  c->wait.confirmed = yes;
  end_wait(c);
}

static void begin_report(struct charge *c)
{
  const struct purchase_settings *settings = &c->owner->settings;
  settings->tell(settings->tell_arg, c->wait.text);
  end_wait(c);
}

void charge_report(struct charge *c, const char *format, ...)
{
  char text[1400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  c->wait.text = text;
  await(c, WAIT_NOTHING, begin_report);
  c->wait.text = NULL;
}
