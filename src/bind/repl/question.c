#include "bind/repl/question.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "bind/runtime.h"

bool ask_can(void)
{
  return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

static void stop(struct ask *ask)
{
  ask->charge = NULL;
  loop_release(ask->runtime->sched.loop);
  if (!ask->runtime->repl) loop_stop_reading(ask->runtime->sched.loop, &ask->reader);
  countdown_give_way(ask->countdown, false);
}

static void reply(struct ask *ask, bool yes)
{
  struct purchase_charge *charge = ask->charge;
  stop(ask);
  if (charge)
    purchase_answer(charge, yes);
  else
    ask->done(ask->done_arg, yes);
}

static void on_reply(struct repl_question *question, bool yes)
{
  reply(question->arg, yes);
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
      reply(ask, tolower((unsigned char)ask->first) == 'y');
      return;
    }
    if (!ask->first && !isspace((unsigned char)bytes[i])) ask->first = bytes[i];
  }
  if (got > 0) return;
  fputc('\n', stderr);
  reply(ask, false);
}

static bool write_text(struct buffer *text, const struct purchase_question *question)
{
  char quote[MONEY_TEXT], now[MONEY_TEXT], then[MONEY_TEXT];
  money left;
  money_format(question->quote, quote);
  text->size = 0;
  bool ok =
      buffer_print(text, "proxylua: %s\n  costs %s%s", question->params, quote,
                   question->estimate ? " (an estimate: the price of a new order like it)" : "");
  if (ok && question->has_balance && money_subtract(question->balance, question->quote, &left)) {
    money_format(question->balance, now);
    money_format(left, then);
    ok = buffer_print(text, "; balance %s, afterwards %s", now, then);
  }
  return ok && buffer_add_text(text, "\nGo ahead?");
}

/* Input that was typed before the question appeared is not a reply to it. */
static bool show(struct ask *ask)
{
  tcflush(STDIN_FILENO, TCIFLUSH);
  fflush(stdout);
  fprintf(stderr, "%s [y/N] ", ask->text.data);
  ask->first = '\0';
  ask->reader = (struct loop_reader){.fd = STDIN_FILENO, .ready = on_input, .arg = ask};
  return loop_read(ask->runtime->sched.loop, &ask->reader);
}

static void put(struct ask *ask, bool written)
{
  loop_hold(ask->runtime->sched.loop);
  countdown_give_way(ask->countdown, true);
  ask->question = (struct repl_question){.text = ask->text.data, .done = on_reply, .arg = ask};
  if (written && ask->runtime->repl)
    repl_put_question(ask->runtime->repl, &ask->question);
  else if (!written || !show(ask))
    reply(ask, false);
}

void ask_begin(void *arg, struct purchase_charge *charge, const struct purchase_question *question)
{
  struct ask *ask = arg;
  bool written = write_text(&ask->text, question);
  ask->charge = charge;
  put(ask, written);
}

void ask_total(struct ask *ask, const char *words, money total, const money *balance,
               void (*done)(void *arg, bool yes), void *arg)
{
  char cost[MONEY_TEXT], now[MONEY_TEXT], then[MONEY_TEXT];
  money left;
  money_format(total, cost);
  ask->text.size = 0;
  ask->charge = NULL;
  ask->done = done;
  ask->done_arg = arg;
  bool ok = buffer_print(&ask->text, "%s: %s", words, cost);
  if (ok && balance && money_subtract(*balance, total, &left)) {
    money_format(*balance, now);
    money_format(left, then);
    ok = buffer_print(&ask->text, " (balance %s -> %s)", now, then);
  }
  put(ask, ok && buffer_add_text(&ask->text, "?"));
}

void ask_end(void *arg)
{
  struct ask *ask = arg;
  if (ask->runtime->repl)
    repl_withdraw_question(ask->runtime->repl, &ask->question);
  else
    fputc('\n', stderr);
  stop(ask);
}

void ask_close(struct ask *ask)
{
  buffer_free(&ask->text);
}
