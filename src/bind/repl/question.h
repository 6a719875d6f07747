/* The question before a charge that nothing else allows: to the person at the terminal, while the
 * tasks go on. At the prompt the session asks it. */
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
  struct purchase_charge *charge; /* NULL: nothing is asked */
  char first;                     /* letter of the answer */
};

/* Whether somebody is there to ask: standard input and standard error are a terminal. */
bool ask_can(void);

/* purchase_settings.ask and .unask, with a struct ask as their argument. */
void ask_begin(void *ask, struct purchase_charge *charge, const struct purchase_question *question);
void ask_end(void *ask);

/* Frees what it holds; nothing is asked any more. */
void ask_close(struct ask *ask);

#endif
