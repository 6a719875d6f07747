/* The second step of a charge: take the lock of the account, which one process holds at a time,
 * among all processes and machines. */
#include "charge/crash_point.h"
#include "charge/flow.h"

#define FIRST_PAUSE \
  INT64_C(2000) /* microseconds between two attempts; its release is not signalled */
#define LONGEST_PAUSE INT64_C(50000)
#define LONG INT64_C(10000000) /* microseconds of waiting after which the user is informed */

static void ask(struct flow *charge);

static bool is_too_late(const struct flow *charge, int64_t waited)
{
  return charge->request.max_wait >= 0 && (double)waited / 1e6 >= charge->request.max_wait;
}

static void wait(struct flow *charge)
{
  int64_t waited = loop_clock() - charge->locking_since;
  if (is_too_late(charge, waited)) {
    error_set(&charge->public.error, ERROR_TIMEOUT,
              "another charge on this account did not finish within max_wait (%g s); nothing was "
              "bought. Try again, or raise max_wait",
              charge->request.max_wait);
    flow_end(charge);
    return;
  }
  if (waited > LONG && !charge->told_of_lock) {
    charge->told_of_lock = true;
    flow_tell(charge,
              "%s with key %s waits for another charge on this account; proxylua journal list "
              "--state open shows which",
              flow_name(charge), charge->public.key);
  }
  flow_sleep(charge, FIRST_PAUSE, LONGEST_PAUSE, ask);
}

static void on_lock(struct store_job *job)
{
  struct flow *charge = CHARGE_OF(job, lock);
  if (flow_has_failed(charge, job)) return;
  charge->token = charge->lock.token;
  if (charge->token == 0) {
    wait(charge);
    return;
  }
  charge->pause = 0;
  crash_point("locked");
  flow_recover(charge);
}

static void ask(struct flow *charge)
{
  charge->lock = (struct journal_lock){.job.done = on_lock, .account = charge->owner->account};
  charge->locking = charge->working = true;
  journal_lock(charge->owner->settings.store, &charge->lock);
}

void flow_lock(struct flow *charge)
{
  charge->locking_since = loop_clock();
  ask(charge);
}
