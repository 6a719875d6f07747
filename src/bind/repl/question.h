/* The question before a charge, or before several, that nothing else allows: to the user at the
 * terminal, while the tasks go on. At the prompt the session asks it. */
#ifndef PROXYLUA_BIND_REPL_QUESTION_H
#define PROXYLUA_BIND_REPL_QUESTION_H

#include <stdbool.h>

#include "base/buffer.h"
#include "bind/repl/countdown.h"
#include "bind/repl/repl.h"
#include "charge/charge.h"
#include "net/loop.h"

struct runtime;

struct ask {
  struct runtime *runtime;
  struct countdown *countdown; /* which gives way to it */
  struct loop_reader reader;
  struct repl_question question;
  struct buffer text;
  struct purchase_charge *charge;    /* that waits for the reply, or NULL */
  void (*done)(void *arg, bool yes); /* without a charge */
  void *done_arg;
  char first; /* letter of the reply */
};

/* Whether a user can be asked: standard input and standard error are a terminal. */
bool ask_can(void);

/* purchase_settings.ask and .unask, with a struct ask as their argument. */
void ask_begin(void *ask, struct purchase_charge *charge, const struct purchase_question *question);
void ask_end(void *ask);

/* Asks about several charges: "Buy 2 isp: 4.80 (balance 10.00 -> 5.20)?". `done` is called once,
 * perhaps before this returns, unless ask_end withdraws the question. */
void ask_total(struct ask *ask, const char *words, money total, const money *balance,
               void (*done)(void *arg, bool yes), void *arg);

/* Frees what it holds; nothing is asked any more. */
void ask_close(struct ask *ask);

#endif
