#include "bind/ask.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

bool ask_can(void)
{
  return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

static void stop(struct ask *ask)
{
  ask->charge = NULL;
  loop_stop_reading(ask->loop);
  loop_release(ask->loop);
  countdown_give_way(ask->countdown, false);
}

static void answer(struct ask *ask, bool yes)
{
  struct purchase_charge *charge = ask->charge;
  stop(ask);
  purchase_answer(charge, yes);
}

/* The terminal hands over whole lines. */
static void on_input(void *arg)
{
  struct ask *ask = arg;
  char bytes[256];
  ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  for (ssize_t i = 0; i < got; i++) {
    if (bytes[i] == '\n') {
      answer(ask, tolower((unsigned char)ask->first) == 'y');
      return;
    }
    if (!ask->first && !isspace((unsigned char)bytes[i])) ask->first = bytes[i];
  }
  if (got > 0) return;
  fputc('\n', stderr);
  answer(ask, false);
}

static void show(const struct purchase_question *question)
{
  char quote[MONEY_TEXT], now[MONEY_TEXT], then[MONEY_TEXT];
  money left;
  money_format(question->quote, quote);
  fflush(stdout);
  fprintf(stderr, "proxylua: %s\n  costs %s%s", question->params, quote,
          question->estimate ? " (an estimate: the price of a new order like it)" : "");
  if (question->has_balance && money_subtract(question->balance, question->quote, &left)) {
    money_format(question->balance, now);
    money_format(left, then);
    fprintf(stderr, "; balance %s, afterwards %s", now, then);
  }
  fputs("\nGo ahead? [y/N] ", stderr);
}

/* What was typed before the question was there is no answer to it. */
void ask_begin(void *arg, struct purchase_charge *charge, const struct purchase_question *question)
{
  struct ask *ask = arg;
  tcflush(STDIN_FILENO, TCIFLUSH);
  countdown_give_way(ask->countdown, true);
  show(question);
  ask->charge = charge;
  ask->first = '\0';
  loop_hold(ask->loop);
  ask->reader = (struct loop_reader){.fd = STDIN_FILENO, .ready = on_input, .arg = ask};
  if (!loop_read(ask->loop, &ask->reader)) answer(ask, false);
}

void ask_end(void *arg)
{
  struct ask *ask = arg;
  fputc('\n', stderr);
  stop(ask);
}
