#include "bind/repl/countdown.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHORTEST (2 * SLOTS_SECOND)  /* shorter waits are not shown */
#define COMEBACK (SLOTS_SECOND / 10) /* after the line had to give way */

/* Where the cursor was is kept and come back to, since only the script knows whether it stands
 * behind half a line; without wrapping, what is too long for the terminal is cut off. */
#define KEEP "\0337"
#define BACK "\0338"
#define WRAP_OFF "\033[?7l"
#define WRAP_ON "\033[?7h"
#define CLEAR "\033[K"

bool countdown_possible(void)
{
  const char *terminal = getenv("TERM");
  return isatty(STDERR_FILENO) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

static void put(const char *text)
{
  (void)!write(STDERR_FILENO, text, strlen(text));
}

static void show(void *arg);

/* When memory is out for it, the line stays away. */
static void show_in(struct countdown *countdown, int64_t delay)
{
  (void)loop_timer_set(countdown->loop, &countdown->tick, delay, show, countdown);
}

static void draw(struct countdown *countdown, int seconds)
{
  char line[160];
  snprintf(line, sizeof line, "%s" WRAP_OFF "proxylua: %s %s limit, %d s" CLEAR WRAP_ON,
           countdown->shown ? BACK : KEEP,
           countdown->notice.what == LIMITER_PAUSE ? "the API has paused the" : "waiting for the",
           countdown->notice.scope, seconds);
  fflush(stdout); /* what was printed before comes before it */
  put(line);
  countdown->shown = true;
}

/* Standard error may be elsewhere for a while, where a line is edited on the terminal. */
static void show(void *arg)
{
  struct countdown *countdown = arg;
  int64_t left = countdown->until - loop_clock();
  if (left <= 0) return;
  int seconds = (int)((left + SLOTS_SECOND - 1) / SLOTS_SECOND);
  show_in(countdown, left - (int64_t)(seconds - 1) * SLOTS_SECOND);
  if (!countdown->away && countdown_possible()) draw(countdown, seconds);
}

void countdown_hide(struct countdown *countdown)
{
  if (!countdown->shown) return;
  countdown->shown = false;
  put(BACK CLEAR);
  show_in(countdown, COMEBACK);
}

void countdown_give_way(struct countdown *countdown, bool away)
{
  countdown_hide(countdown);
  countdown->away = away;
}

static void stop(struct countdown *countdown)
{
  countdown_hide(countdown);
  loop_timer_clear(countdown->loop, &countdown->tick);
  countdown->until = 0;
}

/* Shown by the loop, that is when no Lua code runs. */
void countdown_set(void *arg, const struct limiter_notice *notice)
{
  struct countdown *countdown = arg;
  int64_t until = notice ? loop_clock() + (int64_t)(notice->seconds * 1e6) : 0;
  if (countdown->until && llabs(until - countdown->until) < COMEBACK &&
      notice->what == countdown->notice.what)
    return;
  stop(countdown);
  if (!notice || notice->seconds * 1e6 <= SHORTEST) return;
  countdown->notice = *notice;
  countdown->until = until;
  show_in(countdown, 0);
}
