/* The question before a charge that nothing else allows: to the person at the terminal, while the tasks go on. */
#ifndef PROXYLUA_BIND_ASK_H
#define PROXYLUA_BIND_ASK_H

#include <stdbool.h>

#include "bind/countdown.h"
#include "core/loop.h"
#include "core/purchase.h"

struct ask {
  struct loop *loop;
  struct countdown *countdown; /* which gives way to it */
  struct loop_reader reader;
  struct purchase_charge *charge; /* NULL: nothing is asked */
  char first;                     /* letter of the answer */
};

/* Whether somebody is there to ask: standard input and standard error are a terminal. */
bool ask_can(void);

/* purchase_settings.ask and .unask, with a struct ask as their argument. */
void ask_begin(void *ask, struct purchase_charge *charge, const struct purchase_question *question);
void ask_end(void *ask);

#endif
