/* The line on a terminal that counts down a wait for the API's limits of more than two seconds. It
 * stands only while everything waits: it is gone before any Lua code runs and before the program
 * itself writes, so that it mixes with nothing, and what the script has left of a line stays as it
 * was. */
#ifndef PROXYLUA_BIND_REPL_COUNTDOWN_H
#define PROXYLUA_BIND_REPL_COUNTDOWN_H

#include "limits/limiter.h"
#include "net/loop.h"

/* Zeroed, it counts nothing down. */
struct countdown {
  struct loop *loop;
  struct limiter_notice notice; /* what is waited for */
  int64_t until;                /* loop_clock() at its end, 0: nothing is */
  struct loop_timer tick;
  bool shown;
  bool away; /* a question stands on the screen */
};

/* Whether standard error is a terminal that can show it. */
bool countdown_possible(void);

/* A limiter_on_next function: begins, changes or ends the counting. */
void countdown_set(void *countdown, const struct limiter_notice *notice);

/* While the user is asked, the line stays away. */
void countdown_give_way(struct countdown *countdown, bool away);

/* Takes the line away for now; it comes back when all waits again. */
void countdown_hide(struct countdown *countdown);

#endif
